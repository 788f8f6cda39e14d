/* test-rules.c - protocol.md 5 and 13, model.md 2, 3 and 5, a row a rule: who asks for what, what the answer
 * is, and what an object looks like afterwards.  Each row begins with the same small company (fixture.c). */
#include "fixture.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *who;           /* NULL: default, a Super Administrator */
    const char *text;          /* [ ... ]: a transaction */
    int code;                  /* 0: it goes well */
    const char *data;          /* what stands in data of the error; @name@ is a dbid; NULL: nothing asked */
    const char *type, *object; /* looked at afterwards; NULL: nothing */
    const char *has;           /* in its body; NULL: it must be gone */
    const char *has_not;
} Rule;

#define OPERATION0 "\"operation\":0"
#define OPERATION1 "\"operation\":1"

/* anna: in Users and team; on folder emea read, create, change, delete.  boss: Administrators.  carl:
 * nothing. */
static const Rule rules[] = {
    /* ---- shape ---- */
    {"shape/operation-no-object", NULL, "[1]", -32602, "\"path\":\"/operations/0\"", NULL},
    {"shape/unknown-op", NULL, "[{'op':'drop'}]", -32602, "'path':'/operations/0/op'", NULL},
    {"shape/unknown-member", NULL, "[{'op':'delete','type':'host','dbid':@h3@,'force':true}]", -32602,
     "'path':'/operations/0/force'", NULL},
    {"shape/single-path", NULL, "{'op':'create','object':{'type':'host','name':'x','bogus':1}}", -32602,
     "'path':'/object/bogus'", NULL},
    {"shape/list-path", NULL, "[{'op':'create','object':{'type':'host','name':'x','bogus':1}}]", -32602,
     "'path':'/operations/0/object/bogus'", NULL},
    {"shape/unknown-type", NULL, "{'op':'create','object':{'type':'hosts','name':'x'}}", -32602,
     "'path':'/object/type'", NULL},
    {"shape/before-existence", "carl",
     "{'op':'update','type':'host','dbid':99999,'ifRevision':'x','patch':{}}", -32602, "'path':'/ifRevision'",
     NULL},
    {"shape/patch", NULL, "{'op':'update','type':'host','dbid':@h1@,'patch':[]}", -32602, "'path':'/patch'",
     NULL},
    {"shape/path-and-type", NULL, "{'op':'delete','path':'/Environment/Hosts/h3','type':'host'}", -32602,
     "'path':'/type'", NULL},
    {"shape/operation-number", NULL,
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{}},{'op':'nothing'}]", -32602, "'operation':1",
     NULL},
    /* ---- addressing ---- */
    {"address/name", NULL, "{'op':'update','type':'host','name':'h1','patch':{'address':'a'}}", 0, NULL,
     "host", "h1", "\"address\":\"a\""},
    {"address/path", NULL,
     "{'op':'update','path':'/Environment/Hosts/emea/inner/h2','patch':{'address':'a'}}", 0, NULL, "host",
     "h2", "\"address\":\"a\""},
    {"address/path-nothing", NULL, "{'op':'delete','path':'/Environment/Hosts/none'}", -32004, NULL, NULL},
    {"address/name-tenant", NULL,
     "{'op':'update','type':'host','name':'h4','tenant':@acme@,'patch':{'address':'a'}}", 0, NULL, "host",
     "h4", "\"address\":\"a\""},
    {"address/name-other-tenant", NULL, "{'op':'update','type':'host','name':'h4','tenant':1,'patch':{}}",
     -32004, NULL, NULL},
    {"address/ambiguous", NULL,
     "[{'op':'create','object':{'type':'host','name':'h4'}},"
     "{'op':'update','type':'host','name':'h4','patch':{}}]",
     -32602, "'path':'/operations/1/name'", NULL},
    {"address/only-readable-count", "anna",
     "{'op':'update','type':'host','name':'h1','patch':{'address':'a'}}", 0, NULL, "host", "h1",
     "\"address\":\"a\""},
    {"address/missing", NULL, "{'op':'delete','type':'host','dbid':4711}", -32004, NULL, NULL},
    {"address/unreadable", "anna", "{'op':'delete','type':'person','dbid':@boss@}", -32004, NULL, "person",
     "boss", "boss"},
    {"address/no-author", "carl", "{'op':'update','type':'host','dbid':@h1@,'patch':{}}", -32004, NULL, NULL},
    /* ---- $created ---- */
    {"created/reference", NULL,
     "[{'op':'create','object':{'type':'host','name':'n'}},"
     "{'op':'update','type':'application','dbid':@a1@,'patch':{'host':{'$created':0}}}]",
     0, NULL, "application", "a1", "\"host\":"},
    {"created/dbid", NULL,
     "[{'op':'create','object':{'type':'host','name':'n'}},"
     "{'op':'update','type':'host','dbid':{'$created':0},'patch':{'address':'x'}},"
     "{'op':'update','type':'note','name':'none','patch':{}}]",
     -32004, "'operation':2", NULL},
    {"created/folder-and-tenant", NULL,
     "[{'op':'create','object':{'type':'tenant','name':'sub'}},"
     "{'op':'create','object':{'type':'host','name':'n','tenant':{'$created':0}}},"
     "{'op':'create','object':{'type':'folder','name':'f','folder':@Hosts@}},"
     "{'op':'update','type':'host','dbid':@h3@,'patch':{'folder':{'$created':2}}}]",
     0, NULL, "host", "h3", "\"folder\":"},
    {"created/permission", NULL,
     "[{'op':'create','object':{'type':'person','name':'n'}},"
     "{'op':'permission','type':'host','dbid':@h1@,'grant':[{'account':{'type':'person','dbid':{'$created':0}},"
     "'rights':['read']}]}]",
     0, NULL, "host", "h1", "h1"},
    {"created/later", NULL,
     "[{'op':'update','type':'host','dbid':{'$created':1},'patch':{}},"
     "{'op':'create','object':{'type':'host','name':'n'}}]",
     -32602, "'path':'/operations/0/dbid'", NULL},
    {"created/not-a-create", NULL,
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}},"
     "{'op':'update','type':'host','dbid':{'$created':0},'patch':{}}]",
     -32602, "'path':'/operations/1/dbid'", "host", "h1", "h1", "address"},
    /* ---- create ---- */
    {"create/default-folder", "anna", "{'op':'create','object':{'type':'host','name':'x'}}", -32005, NULL,
     NULL},
    {"create/in-folder", "anna", "{'op':'create','object':{'type':'host','name':'x','folder':@emea@}}", 0,
     NULL, NULL},
    {"create/inherits-below", "anna", "{'op':'create','object':{'type':'host','name':'x','folder':@inner@}}",
     0, NULL, NULL},
    {"create/no-right", "anna", "{'op':'create','object':{'type':'host','name':'x','folder':@apac@}}", -32005,
     NULL, NULL},
    {"create/right-before-values", "anna",
     "{'op':'create','object':{'type':'host','name':'','folder':@apac@}}", -32005, NULL, NULL},
    {"create/folder-unreadable", "anna",
     "{'op':'create','object':{'type':'person','name':'x','folder':@Persons@}}", -32602,
     "'path':'/object/folder'", NULL},
    {"create/folder-missing", NULL, "{'op':'create','object':{'type':'host','name':'x','folder':4711}}",
     -32602, "'path':'/object/folder'", NULL},
    {"create/tenant-unreadable", "anna", "{'op':'create','object':{'type':'host','name':'x','tenant':1}}",
     -32602, "'path':'/object/tenant'", NULL},
    {"create/default-not-checked", "carl", "{'op':'create','object':{'type':'host','name':'x'}}", -32005,
     NULL, NULL},
    {"create/dbid-refused", NULL, "{'op':'create','object':{'type':'host','name':'x','dbid':7}}", -32602,
     "'path':'/object/dbid'", NULL},
    {"create/null-is-unset", NULL,
     "{'op':'create','object':{'type':'host','name':'x','dbid':null,'folder':null,'tenant':null}}", 0, NULL,
     NULL},
    {"create/folder-holds-other", NULL,
     "{'op':'create','object':{'type':'host','name':'x','folder':@Persons@}}", -32602,
     "'path':'/object/folder'", NULL},
    {"create/folder-of-other-tenant", NULL,
     "{'op':'create','object':{'type':'host','name':'x','tenant':1,'folder':@acme Hosts@}}", -32602,
     "'path':'/object/tenant'", NULL},
    {"create/root-folder", NULL, "{'op':'create','object':{'type':'folder','name':'x','holds':'host'}}",
     -32005, NULL, NULL},
    {"create/subfolder-holds-other", NULL,
     "{'op':'create','object':{'type':'folder','name':'x','folder':@emea@,'holds':'person'}}", -32602,
     "'path':'/object/holds'", NULL},
    {"create/secret", NULL, "{'op':'create','object':{'type':'person','name':'x','passwordHash':'h'}}",
     -32602, "'path':'/object/passwordHash'", NULL},
    {"create/reference-missing", NULL,
     "{'op':'create','object':{'type':'application','name':'x','applicationType':'genericServer',"
     "'connections':[{'server':@a1@},{'server':4711}]}}",
     -32602, "'path':'/object/connections/1/server'", NULL},
    {"create/reference-other-type", NULL,
     "{'op':'create','object':{'type':'role','name':'x','members':["
     "{'type':'host','dbid':@h1@}]}}",
     -32602, "/object/members/0", NULL},
    {"create/reference-unreadable", "anna",
     "{'op':'create','object':{'type':'host','name':'x','folder':@emea@,"
     "'solutionControlServer':99}}",
     0, NULL, NULL},
    {"create/everyone-has-no-members", NULL,
     "{'op':'create','object':{'type':'accessGroup','name':'x','kind':'everyone','members':[@anna@]}}",
     -32602, "'path':'/object/members'", NULL},
    {"create/in-disabled-folder", NULL,
     "[{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}},"
     "{'op':'create','object':{'type':'folder','name':'x','state':'enabled','folder':@emea@}},"
     "{'op':'update','type':'host','dbid':@h3@,'patch':{'folder':{'$created':1}}}]",
     0, NULL, "host", "h3", "\"state\":\"disabled\""},
    {"create/site-type", NULL,
     "[{'op':'create','object':{'type':'note','name':'x'}},"
     "{'op':'update','type':'note','name':'x','patch':{'text':'t'}}]",
     0, NULL, NULL},
    {"create/site-type-needs-right", "anna", "{'op':'create','object':{'type':'note','name':'x'}}", -32005,
     NULL, NULL},
    /* ---- update ---- */
    {"update/no-right", "anna", "{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'x'}}", -32005,
     NULL, "host", "h3", "h3", "address"},
    {"update/right", "anna", "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}}", 0, NULL,
     "host", "h1", "\"address\":\"x\""},
    {"update/right-before-revision", "anna",
     "{'op':'update','type':'host','dbid':@h3@,'ifRevision':1,'patch':{}}", -32005, NULL, NULL},
    {"update/revision-before-values", NULL,
     "{'op':'update','type':'host','dbid':@h3@,'ifRevision':1,'patch':{'bogus':1}}", -32009,
     "\"revision\":", NULL},
    {"update/values", NULL, "{'op':'update','type':'host','dbid':@h3@,'patch':{'lcaPort':70000}}", -32602,
     "'path':'/patch/lcaPort'", NULL},
    {"update/immutable", NULL, "{'op':'update','type':'host','dbid':@h3@,'patch':{'tenant':@acme@}}", -32602,
     "'path':'/patch/tenant'", NULL},
    {"update/immutable-same", NULL,
     "{'op':'update','type':'host','dbid':@h3@,'patch':{'type':'host','tenant':1,'dbid':@h3@,"
     "'address':'x'}}",
     0, NULL, "host", "h3", "\"address\":\"x\""},
    {"update/kind", NULL, "{'op':'update','type':'accessGroup','dbid':@team@,'patch':{'kind':'users'}}",
     -32602, "'path':'/patch/kind'", NULL},
    {"update/holds", NULL, "{'op':'update','type':'folder','dbid':@emea@,'patch':{'holds':'person'}}", -32602,
     "'path':'/patch/holds'", NULL},
    {"update/secret", NULL, "{'op':'update','type':'person','dbid':@anna@,'patch':{'passwordHash':'x'}}",
     -32602, "'path':'/patch/passwordHash'", NULL},
    {"update/everyone", NULL,
     "{'op':'update','type':'accessGroup','dbid':@EVERYONE@,'add':{'members':[@anna@]}}", -32602,
     "'path':'/add/members'", NULL},
    {"update/new-reference-unreadable", "anna",
     "{'op':'update','type':'host','dbid':@h1@,'patch':{'solutionControlServer':4711}}", -32602,
     "'path':'/patch/solutionControlServer'", NULL},
    {"update/add-reference-missing", NULL,
     "{'op':'update','type':'accessGroup','dbid':@team@,'add':{'members':[@carl@,4711]}}", -32602,
     "'path':'/add/members/1'", NULL},
    {"update/reference-undone-later", NULL,
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{'solutionControlServer':4711}},"
     "{'op':'update','type':'host','dbid':@h1@,'patch':{'solutionControlServer':null,'address':'x'}}]",
     0, NULL, "host", "h1", "\"address\":\"x\"", "4711"},
    /* ---- moves ---- */
    {"move/needs-create", "anna", "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':@apac@}}",
     -32005, NULL, NULL},
    {"move/goes", "anna", "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':@inner@}}", 0, NULL,
     NULL},
    {"move/missing", "anna", "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':4711}}", -32602,
     "'path':'/patch/folder'", NULL},
    {"move/holds-other", NULL, "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':@Persons@}}",
     -32602, "'path':'/patch/folder'", NULL},
    {"move/other-tenant", NULL, "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':@acme Hosts@}}",
     -32602, "'path':'/patch/folder'", NULL},
    {"move/no-folder", NULL, "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':null}}", -32602,
     "'path':'/patch/folder'", NULL},
    {"move/root-folder", NULL, "{'op':'update','type':'folder','dbid':@Hosts@,'patch':{'folder':@emea@}}",
     -32005, NULL, NULL},
    {"move/becomes-root", NULL, "{'op':'update','type':'folder','dbid':@emea@,'patch':{'folder':null}}",
     -32005, NULL, NULL},
    {"move/cycle", NULL, "{'op':'update','type':'folder','dbid':@emea@,'patch':{'folder':@inner@}}", -32602,
     "'path':'/patch/folder'", NULL},
    {"move/itself", NULL, "{'op':'update','type':'folder','dbid':@emea@,'patch':{'folder':@emea@}}", -32602,
     "'path':'/patch/folder'", NULL},
    {"move/folder", NULL, "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@apac@}}", 0, NULL,
     "folder", "inner", "\"folder\":"},
    {"move/environment", NULL, "{'op':'update','type':'tenant','dbid':1,'patch':{'folder':@Tenants@}}",
     -32005, NULL, NULL},
    {"move/folder-to-disabled-disables-below", NULL,
     "[{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}},"
     "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@apac@}}]",
     0, NULL, "host", "h2", "\"state\":\"disabled\""},
    /* ---- disabling ---- */
    {"disable/below", NULL, "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}}", 0,
     NULL, "host", "h2", "\"state\":\"disabled\""},
    {"disable/needs-all", "anna",
     "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}}", 0, NULL, "host", "h1",
     "\"state\":\"disabled\""},
    {"disable/not-all", "anna",
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}},"
     "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}},"
     "{'op':'update','type':'host','dbid':@h3@,'patch':{}}]",
     -32005, "'operation':2", "host", "h1", "enabled"},
    {"disable/tenant", NULL, "{'op':'update','type':'tenant','dbid':@acme@,'patch':{'state':'disabled'}}", 0,
     NULL, "host", "h4", "\"state\":\"disabled\""},
    {"disable/environment-takes-the-last-repairer", NULL,
     "{'op':'update','type':'tenant','dbid':1,'patch':{'state':'disabled'}}", -32005, NULL, NULL},
    {"enable/single", NULL,
     "[{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}},"
     "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'enabled'}}]",
     0, NULL, "host", "h1", "\"state\":\"disabled\""},
    {"enable/below-disabled", NULL,
     "[{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}},"
     "{'op':'update','type':'host','dbid':@h1@,'patch':{'state':'enabled'}}]",
     0, NULL, "host", "h1", "\"state\":\"enabled\""},
    {"disable/moved-in-by-the-same", NULL,
     "[{'op':'update','type':'host','dbid':@h3@,'patch':{'folder':@inner@}},"
     "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}}]",
     0, NULL, "host", "h3", "\"state\":\"disabled\""},
    {"disable/moved-out-by-the-same", NULL,
     "[{'op':'update','type':'host','dbid':@h2@,'patch':{'folder':@apac@}},"
     "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}}]",
     0, NULL, "host", "h2", "\"state\":\"enabled\""},
    /* ---- delete ---- */
    {"delete/goes", NULL, "{'op':'delete','type':'application','dbid':@a2@}", 0, NULL, "application", "a2",
     NULL},
    {"delete/no-right", "anna", "{'op':'delete','type':'host','dbid':@h3@}", -32005, NULL, "host", "h3",
     "h3"},
    {"delete/revision", NULL, "{'op':'delete','type':'host','dbid':@h3@,'ifRevision':1}", -32009,
     "\"revision\":", "host", "h3", "h3"},
    {"delete/restrict", NULL, "{'op':'delete','type':'host','dbid':@h1@}", -32008,
     "\"referrers\":[{\"type\":\"application\",\"dbid\":@a1@}]", "host", "h1", "h1"},
    {"delete/restrict-undone-later", NULL,
     "[{'op':'delete','type':'host','dbid':@h1@},"
     "{'op':'update','type':'application','dbid':@a1@,'patch':{'host':null}}]",
     0, NULL, "host", "h1", NULL},
    {"delete/restrict-deleted-later", NULL,
     "[{'op':'delete','type':'host','dbid':@h1@},"
     "{'op':'delete','type':'application','dbid':@a1@}]",
     0, NULL, "host", "h1", NULL},
    {"delete/clear", NULL, "{'op':'delete','type':'application','dbid':@a1@}", 0, NULL, "application", "a2",
     "a2", "backup"},
    {"delete/clear-members", NULL, "{'op':'delete','type':'person','dbid':@boss@}", 0, NULL, "accessGroup",
     "team", "members", "@boss@"},
    {"delete/account-of-an-application", NULL, "{'op':'delete','type':'person','dbid':@anna@}", -32008,
     "\"dbid\":@a2@", "person", "anna", "anna"},
    {"delete/environment", NULL, "{'op':'delete','type':'tenant','dbid':1}", -32005, NULL, NULL},
    {"delete/root-folder", NULL, "{'op':'delete','type':'folder','dbid':@acme Skills@}", -32005, NULL, NULL},
    {"delete/folder-with-content", NULL, "{'op':'delete','type':'folder','dbid':@inner@}", -32008,
     "\"referrers\":[{\"type\":\"host\",\"dbid\":@h2@}]", "folder", "inner", "inner"},
    {"delete/folder-top-down", NULL,
     "[{'op':'delete','type':'folder','dbid':@inner@},{'op':'delete','type':'host','dbid':@h2@}]", 0, NULL,
     "folder", "inner", NULL},
    {"delete/folder-bottom-up", NULL,
     "[{'op':'delete','type':'host','dbid':@h2@},{'op':'delete','type':'folder','dbid':@inner@}]", 0, NULL,
     "folder", "inner", NULL},
    {"delete/folder-emptied-by-a-move", NULL,
     "[{'op':'update','type':'host','dbid':@h2@,'patch':{'folder':@emea@}},"
     "{'op':'delete','type':'folder','dbid':@inner@}]",
     0, NULL, "folder", "inner", NULL},
    {"delete/into-deleted-folder", NULL,
     "[{'op':'delete','type':'folder','dbid':@apac@},"
     "{'op':'update','type':'host','dbid':@h2@,'patch':{'folder':@apac@}}]",
     -32602, "/operations/1/patch/folder", NULL},
    {"delete/tenant-with-content", NULL, "{'op':'delete','type':'tenant','dbid':@acme@}", -32008, NULL,
     "tenant", "acme", "acme"},
    {"delete/tenant-takes-root-folders", NULL,
     "[{'op':'delete','type':'host','dbid':@h4@},"
     "{'op':'delete','type':'person','dbid':@carl@},{'op':'delete','type':'tenant','dbid':@acme@}]",
     0, NULL, "folder", "acme Hosts", NULL},
    {"delete/twice", NULL,
     "[{'op':'delete','type':'host','dbid':@h3@},{'op':'delete','type':'host','dbid':@h3@}]", -32004,
     OPERATION1, "host", "h3", "h3"},
    {"delete/new-reference-to-deleted", NULL,
     "[{'op':'delete','type':'host','dbid':@h3@},"
     "{'op':'update','type':'application','dbid':@a2@,'patch':{'host':@h3@}}]",
     -32602, "/operations/1/patch/host", NULL},
    /* ---- names ---- */
    {"name/taken", NULL, "{'op':'create','object':{'type':'host','name':'h1'}}", -32010,
     "\"type\":\"host\",\"name\":\"h1\"", NULL},
    {"name/other-tenant", NULL, "{'op':'create','object':{'type':'host','name':'h1','tenant':@acme@}}", 0,
     NULL, NULL},
    {"name/person-in-environment", NULL,
     "{'op':'create','object':{'type':'person','name':'anna','tenant':@acme@}}", -32010, NULL, NULL},
    {"name/application-in-environment", NULL,
     "{'op':'create','object':{'type':'application','name':'a1',"
     "'applicationType':'genericServer','tenant':@acme@}}",
     -32010, NULL, NULL},
    {"name/tenant-in-environment", NULL,
     "{'op':'create','object':{'type':'tenant','name':'acme','tenant':@acme@}}", -32010, NULL, NULL},
    {"name/folder-in-parent", NULL,
     "{'op':'create','object':{'type':'folder','name':'inner','folder':@emea@}}", -32010, NULL, NULL},
    {"name/folder-elsewhere", NULL,
     "{'op':'create','object':{'type':'folder','name':'inner','folder':@apac@}}", 0, NULL, NULL},
    {"name/folder-by-move", NULL,
     "[{'op':'create','object':{'type':'folder','name':'inner','folder':@apac@}},"
     "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@apac@}}]",
     -32010, OPERATION1, NULL},
    {"name/code-points", NULL, "{'op':'create','object':{'type':'host','name':'H1'}}", 0, NULL, NULL},
    {"name/swap", NULL,
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{'name':'h3'}},"
     "{'op':'update','type':'host','dbid':@h3@,'patch':{'name':'h1'}}]",
     0, NULL, "host", "h1", "\"name\":\"h3\""},
    {"name/freed-by-delete", NULL,
     "[{'op':'create','object':{'type':'host','name':'h3'}},"
     "{'op':'delete','type':'host','dbid':@h3@}]",
     0, NULL, "host", "h3", NULL},
    {"name/freed-by-folder-delete", NULL,
     "[{'op':'delete','type':'folder','dbid':@apac@},"
     "{'op':'create','object':{'type':'folder','name':'apac','folder':@Hosts@}}]",
     0, NULL, "folder", "apac", NULL},
    {"name/later-is-at-fault", NULL,
     "[{'op':'create','object':{'type':'host','name':'n'}},"
     "{'op':'create','object':{'type':'host','name':'n'}}]",
     -32010, OPERATION1, NULL},
    {"name/before-references", NULL,
     "[{'op':'update','type':'host','dbid':@h1@,'patch':{'solutionControlServer':4711}},"
     "{'op':'create','object':{'type':'host','name':'h3'}}]",
     -32010, OPERATION1, NULL},
    {"name/nfc", NULL,
     "[{'op':'create','object':{'type':'host','name':'\\u00e9'}},"
     "{'op':'create','object':{'type':'host','name':'e\\u0301'}}]",
     -32010, OPERATION1, NULL},
    /* ---- cascade ---- */
    {"cascade/goes-along", NULL,
     "[{'op':'create','object':{'type':'note','name':'n1','host':@h3@}},"
     "{'op':'create','object':{'type':'note','name':'n2','next':{'$created':0}}},"
     "{'op':'delete','type':'host','dbid':@h3@},"
     "{'op':'update','type':'note','name':'n2','patch':{}}]",
     -32004, "'operation':3", "host", "h3", "h3"},
    /* ---- rights ---- */
    {"rights/no-right", "anna", "{'op':'permission','type':'host','dbid':@h1@,'inherit':true}", -32005, NULL,
     NULL},
    {"rights/grant-copies", NULL,
     "{'op':'permission','type':'host','dbid':@h1@,'grant':[{'account':{'type':'person',"
     "'dbid':@carl@},'rights':['read']}]}",
     0, NULL, NULL},
    {"rights/account-missing", NULL,
     "{'op':'permission','type':'host','dbid':@h1@,'entries':[{'account':{'type':'person',"
     "'dbid':@carl@},'rights':['read']},{'account':{'type':'person','dbid':4711},'rights':['read']}]}",
     -32602, "'path':'/entries/1/account'", NULL},
    {"rights/not-an-account", NULL,
     "{'op':'permission','type':'host','dbid':@h1@,'grant':[{'account':{'type':'host',"
     "'dbid':@h1@},'rights':['read']}]}",
     -32602, "/grant/0", NULL},
    {"rights/unknown-right", NULL,
     "{'op':'permission','type':'host','dbid':@h1@,'grant':[{'account':{'type':'person',"
     "'dbid':@carl@},'rights':['fly']}]}",
     -32602, "/grant/0/rights", NULL},
    {"rights/nothing-said", NULL, "{'op':'permission','type':'host','dbid':@h1@}", -32602, NULL, NULL},
    {"rights/both-said", NULL, "{'op':'permission','type':'host','dbid':@h1@,'inherit':true,'grant':[]}",
     -32602, "/inherit", NULL},
    {"rights/inherit-false", NULL, "{'op':'permission','type':'host','dbid':@h1@,'inherit':false}", -32602,
     "/inherit", NULL},
    {"rights/last-repairer-list", NULL, "{'op':'permission','type':'tenant','dbid':1,'entries':[]}", -32005,
     NULL, NULL},
    {"rights/last-repairer-inherit", NULL, "{'op':'permission','type':'tenant','dbid':1,'inherit':true}",
     -32005, NULL, NULL},
    {"rights/last-repairer-groups", NULL,
     "[{'op':'update','type':'accessGroup','dbid':@Administrators@,'patch':{'members':[]}},"
     "{'op':'update','type':'accessGroup','dbid':@Super Administrators@,'patch':{'members':null}}]",
     -32005, OPERATION1, NULL},
    {"rights/last-repairer-disabled", NULL,
     "[{'op':'update','type':'accessGroup','dbid':@Administrators@,'patch':{'members':[]}},"
     "{'op':'update','type':'person','dbid':@default@,'patch':{'state':'disabled'}}]",
     -32005, OPERATION1, NULL},
    {"rights/last-repairer-deleted", NULL,
     "[{'op':'delete','type':'person','dbid':@boss@},"
     "{'op':'delete','type':'person','dbid':@default@}]",
     -32005, OPERATION1, NULL},
    {"rights/last-repairer-replaced", NULL,
     "[{'op':'update','type':'accessGroup','dbid':@Super Administrators@,"
     "'add':{'members':[@carl@]}},{'op':'update','type':'accessGroup','dbid':@Super Administrators@,"
     "'remove':{'members':[@default@]}}]",
     0, NULL, "accessGroup", "Super Administrators", "members"},
    {"rights/repair-from-above", "boss",
     "[{'op':'permission','type':'host','dbid':@h3@,'entries':[]},"
     "{'op':'permission','type':'host','dbid':@h3@,'inherit':true}]",
     0, NULL, NULL},
    {"rights/administrators-and-super", "boss",
     "{'op':'update','type':'person','dbid':@default@,'patch':{'firstName':'x'}}", -32005, NULL, NULL},
    {"rights/within-a-transaction", NULL,
     "[{'op':'permission','type':'host','dbid':@h1@,'entries':[]},"
     "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}}]",
     -32004, OPERATION1, NULL},
    {"rights/disabled-group-grants-nothing", "anna", "{'op':'update','type':'host','dbid':@h3@,'patch':{}}",
     -32005, NULL, NULL},
};

static void
check_object(Fixture *fixture, const Rule *rule)
{
    const char *body = fixture_body(fixture, rule->type, rule->object);
    if (rule->has == NULL) {
        g_assert_null(body);
        return;
    }
    g_assert_nonnull(body);
    g_autofree char *has = fixture_expand(fixture, rule->has);
    if (strstr(body, has) == NULL)
        g_error("%s lacks %s", body, has);
    g_autofree char *has_not = rule->has_not != NULL ? fixture_expand(fixture, rule->has_not) : NULL;
    if (has_not != NULL && strstr(body, has_not) != NULL)
        g_error("%s has %s", body, has_not);
    /* What is in memory is what is stored, where the company's objects were ever written. */
    const ConfObject *object = fixture_object(fixture, rule->type, rule->object);
    g_autofree char *stored = database_body(conf_object_key(object));
    if (stored != NULL)
        g_assert_cmpstr(stored, ==, body);
}

static void
test_rule(const void *data)
{
    const Rule *rule = data;
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = conf_store_position(fixture->store)->revision;
    g_autoptr(Result) result = fixture_run(fixture, rule->who != NULL ? rule->who : "default", rule->text);
    if (result->code != rule->code)
        g_error("%d instead of %d: %s {%s}", result->code, rule->code, result->message, result->data);
    if (rule->data != NULL) {
        g_autofree char *wanted = fixture_expand(fixture, rule->data);
        g_assert_nonnull(result->data);
        if (strstr(result->data, wanted) == NULL)
            g_error("{%s} lacks %s", result->data, wanted);
    }
    if (rule->code != 0) {
        g_assert_null(result->commit);
        g_assert_cmpint(conf_store_position(fixture->store)->revision, ==, before);
        g_assert_cmpint(database_revision(), ==, before);
    }
    if (rule->type != NULL)
        check_object(fixture, rule);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_autofree char *path = g_strconcat("/commit/rules/", rules[i].name, NULL);
        g_test_add_data_func(path, &rules[i], test_rule);
    }
    return g_test_run();
}
