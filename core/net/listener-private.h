/* listener-private.h - what connections tell listeners. */
#pragma once

#include "net/poller.h"

/* Listeners that pause for want of descriptors try again. */
void conf_listeners_descriptor_freed(ConfPoller *poller);
