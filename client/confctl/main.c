/* main.c - the command line of confctl: options, the command, its arguments; exit status. */
#include "confctl.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gboolean show_version;
static int find_word(int argc, char **argv);
static GOptionContext *make_context(CtlOptions *options, const CtlCommand *command);
static int run(Ctl *ctl, const CtlCommand *command, char **arguments);

int
main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    Ctl ctl = {0};
    int place = find_word(argc, argv);
    const char *word = place < argc ? argv[place] : NULL;
    const CtlCommand *command = word != NULL ? ctl_command_find(word) : NULL;
    if (word != NULL && command == NULL) {
        ctl_warn("There is no command \"%s\"; confctl --help lists them", word);
        return CTL_USAGE;
    }
    g_autoptr(GOptionContext) context = make_context(&ctl.options, command);
    /* The word itself is no argument of the command. */
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    for (int i = 0; i < argc; i++) {
        if (i != place)
            g_ptr_array_add(rest, argv[i]);
    }
    g_ptr_array_add(rest, NULL);
    char **arguments = (char **)rest->pdata;
    int left = (int)rest->len - 1;
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &left, &arguments, &error)) {
        ctl_warn("%s", error->message);
        ctl_clear(&ctl);
        return CTL_USAGE;
    }
    int status;
    if (show_version) {
        printf("confctl %s\n", CONFC_VERSION);
        status = CTL_DONE;
    } else if (command == NULL) {
        g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
        fputs(help, stderr);
        status = CTL_USAGE;
    } else {
        status = run(&ctl, command, arguments + 1);
    }
    ctl_clear(&ctl);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CTL_DONE) {
        ctl_warn("Not all could be written");
        status = CTL_REFUSED;
    }
    return status;
}

/* The first argument that is neither an option nor the value of one. */
static int
find_word(int argc, char **argv)
{
    static const char *const with_value[] = {
        "--server",          "--user",    "--password-file",   "--application",  "--tls-ca",  "--tls-crl",
        "--tls-certificate", "--tls-key", "--tls-server-name", "--addp-timeout", "--timeout", "--profile",
        "--output",          "-o"};
    for (int i = 1; i < argc; i++) {
        bool takes_value = false;
        for (unsigned w = 0; w < G_N_ELEMENTS(with_value); w++)
            takes_value = takes_value || strcmp(argv[i], with_value[w]) == 0;
        if (argv[i][0] != '-')
            return i;
        if (takes_value)
            i++;
    }
    return argc;
}

static GOptionContext *
make_context(CtlOptions *options, const CtlCommand *command)
{
    const GOptionEntry common[] = {
        {"server", 0, 0, G_OPTION_ARG_STRING, &options->server,
         "Server to talk to, or several (CONFCTL_SERVER)", "HOST:PORT[,HOST:PORT]"},
        {"user", 0, 0, G_OPTION_ARG_STRING, &options->user, "Who you are (CONFCTL_USER)", "NAME"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options->password_file,
         "File whose first line is the password (CONFCTL_PASSWORD_FILE); else it is asked for", "FILE"},
        {"application", 0, 0, G_OPTION_ARG_STRING, &options->application,
         "Application to log in as (confctl)", "NAME"},
        {"tls", 0, 0, G_OPTION_ARG_NONE, &options->with_tls,
         "Speak TLS, with whom the system trusts (CONFCTL_TLS=yes)", NULL},
        {"no-tls", 0, 0, G_OPTION_ARG_NONE, &options->no_tls,
         "Speak plain, whatever environment and profile say (CONFCTL_TLS=no)", NULL},
        {"tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_ca,
         "Speak TLS, with whom these certificates vouch for (CONFCTL_TLS_CA)", "FILE"},
        {"tls-crl", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_crl,
         "Certificates that are no longer good (CONFCTL_TLS_CRL)", "FILE"},
        {"tls-certificate", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_certificate,
         "Certificate to show; without a user the application logs in by it (CONFCTL_TLS_CERTIFICATE)",
         "FILE"},
        {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options->tls_key,
         "Its key, where that is a file of its own (CONFCTL_TLS_KEY)", "FILE"},
        {"tls-server-name", 0, 0, G_OPTION_ARG_STRING, &options->tls_server_name,
         "Name in the server's certificate, where it is not HOST (CONFCTL_TLS_SERVER_NAME)", "NAME"},
        {"no-tls-name-check", 0, 0, G_OPTION_ARG_NONE, &options->no_tls_name_check,
         "Any name in the server's certificate will do (CONFCTL_TLS_NAME_CHECK=no)", NULL},
        {"addp-timeout", 0, 0, G_OPTION_ARG_STRING, &options->addp_timeout,
         "Notice within twice this time that the server is gone (CONFCTL_ADDP_TIMEOUT)", "SECONDS"},
        {"timeout", 0, 0, G_OPTION_ARG_STRING, &options->timeout,
         "Wait no longer than this for a connection, and for an answer (CONFCTL_TIMEOUT)", "SECONDS"},
        {"profile", 0, 0, G_OPTION_ARG_STRING, &options->profile,
         "Section of ~/.config/confctl/config (default)", "NAME"},
        {"output", 'o', 0, G_OPTION_ARG_STRING, &options->output, "table, or json: JSON Lines for programs",
         "FORM"},
        {"no-color", 0, 0, G_OPTION_ARG_NONE, &options->no_color, "No colours, on a terminal too", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &show_version, "Print the release", NULL},
        {NULL},
    };
    g_autofree char *usage = command != NULL ? g_strdup_printf("%s %s", command->name, command->arguments)
                                             : g_strdup("COMMAND [ARGUMENT ...]");
    GOptionContext *context = g_option_context_new(usage);
    g_option_context_add_main_entries(context, common, NULL);
    if (command == NULL) {
        g_autofree char *commands = ctl_command_list();
        g_option_context_set_summary(context, commands);
        g_option_context_set_description(
            context, "confctl COMMAND --help tells more of a command.  Exit status: 0 done, 1 refused "
                     "by the server, 2 wrong usage,\n3 cannot connect.");
        return context;
    }
    g_autofree char *summary = g_strdup_printf("%s.%s%s", command->summary, command->help != NULL ? "\n" : "",
                                               command->help != NULL ? command->help : "");
    g_option_context_set_summary(context, summary);
    if (command->options != NULL)
        g_option_context_add_main_entries(context, command->options, NULL);
    return context;
}

static int
run(Ctl *ctl, const CtlCommand *command, char **arguments)
{
    g_autoptr(GError) error = NULL;
    const char *form = ctl->options.output;
    if (!ctl_command_check(command, arguments, &error))
        return ctl_command_report(error);
    if (form != NULL && strcmp(form, "table") != 0 && strcmp(form, "json") != 0) {
        ctl_warn("-o takes table or json, not \"%s\"", form);
        return CTL_USAGE;
    }
    ctl->json = g_strcmp0(form, "json") == 0;
    ctl->colour = !ctl->options.no_color && isatty(STDOUT_FILENO) && g_getenv("NO_COLOR") == NULL;
    if (!ctl_connect(ctl, &error) || !command->run(ctl, arguments, g_strv_length(arguments), &error))
        return ctl_command_report(error);
    return CTL_DONE;
}
