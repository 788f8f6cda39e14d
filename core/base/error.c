/* error.c - the GError domain of everything told to an operator. */
#include "base/error.h"

G_DEFINE_QUARK(conf-error-quark, conf_error)
