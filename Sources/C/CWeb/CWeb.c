// A file of web/ is embedded by naming it twice: its bytes, and its row in the table. A test holds
// both against the folder. clang lists what it embeds in its dependency file, so that an edit in
// web/ rebuilds this one.

#include "CWeb.h"

static const unsigned char account_js[] = {
#embed "../../../web/account.js"
};
static const unsigned char answer_js[] = {
#embed "../../../web/answer.js"
};
static const unsigned char api_js[] = {
#embed "../../../web/api.js"
};
static const unsigned char base_css[] = {
#embed "../../../web/base.css"
};
static const unsigned char chat_css[] = {
#embed "../../../web/chat.css"
};
static const unsigned char chat_js[] = {
#embed "../../../web/chat.js"
};
static const unsigned char chats_js[] = {
#embed "../../../web/chats.js"
};
static const unsigned char composer_js[] = {
#embed "../../../web/composer.js"
};
static const unsigned char dialog_js[] = {
#embed "../../../web/dialog.js"
};
static const unsigned char documents_js[] = {
#embed "../../../web/documents.js"
};
static const unsigned char dom_js[] = {
#embed "../../../web/dom.js"
};
static const unsigned char format_js[] = {
#embed "../../../web/format.js"
};
static const unsigned char icon_svg[] = {
#embed "../../../web/icon.svg"
};
static const unsigned char index_html[] = {
#embed "../../../web/index.html"
};
static const unsigned char page_collection_js[] = {
#embed "../../../web/page-collection.js"
};
static const unsigned char page_keys_js[] = {
#embed "../../../web/page-keys.js"
};
static const unsigned char admin_gateway_js[] = {
#embed "../../../web/admin-gateway.js"
};
static const unsigned char admin_keydialog_js[] = {
#embed "../../../web/admin-keydialog.js"
};
static const unsigned char admin_teams_js[] = {
#embed "../../../web/admin-teams.js"
};
static const unsigned char lazy_js[] = {
#embed "../../../web/lazy.js"
};
static const unsigned char layout_css[] = {
#embed "../../../web/layout.css"
};
static const unsigned char main_js[] = {
#embed "../../../web/main.js"
};
static const unsigned char manifest_webmanifest[] = {
#embed "../../../web/manifest.webmanifest"
};
static const unsigned char markdown_js[] = {
#embed "../../../web/markdown.js"
};
static const unsigned char pages_css[] = {
#embed "../../../web/pages.css"
};
static const unsigned char passage_js[] = {
#embed "../../../web/passage.js"
};
static const unsigned char robots_txt[] = {
#embed "../../../web/robots.txt"
};
static const unsigned char spend_js[] = {
#embed "../../../web/spend.js"
};
static const unsigned char sse_js[] = {
#embed "../../../web/sse.js"
};
static const unsigned char upload_js[] = {
#embed "../../../web/upload.js"
};
static const unsigned char verdicts_js[] = {
#embed "../../../web/verdicts.js"
};
static const unsigned char page_filter_js[] = {
#embed "../../../web/page-filter.js"
};
static const unsigned char page_ranking_js[] = {
#embed "../../../web/page-ranking.js"
};
static const unsigned char page_search_css[] = {
#embed "../../../web/page-search.css"
};
static const unsigned char page_search_js[] = {
#embed "../../../web/page-search.js"
};
static const unsigned char page_traces_js[] = {
#embed "../../../web/page-traces.js"
};
static const unsigned char page_waterfall_js[] = {
#embed "../../../web/page-waterfall.js"
};
static const unsigned char page_web_js[] = {
#embed "../../../web/page-web.js"
};

// From Debian's libjs-marked. A build on a machine without it works: the client then shows plain
// text. clang looks at this file again when CWeb.c or a file of web/ changes.
#if __has_embed("/usr/share/javascript/marked/marked.umd.min.js") == __STDC_EMBED_FOUND__
#define HAS_MARKED 1
static const unsigned char marked_js[] = {
#embed "/usr/share/javascript/marked/marked.umd.min.js"
};
#endif

#define FILE_AT(path, bytes) {path, bytes, sizeof(bytes)}

static const CWebFile files[] = {
    FILE_AT("/account.js", account_js),
    FILE_AT("/answer.js", answer_js),
    FILE_AT("/api.js", api_js),
    FILE_AT("/base.css", base_css),
    FILE_AT("/chat.css", chat_css),
    FILE_AT("/chat.js", chat_js),
    FILE_AT("/chats.js", chats_js),
    FILE_AT("/composer.js", composer_js),
    FILE_AT("/dialog.js", dialog_js),
    FILE_AT("/documents.js", documents_js),
    FILE_AT("/dom.js", dom_js),
    FILE_AT("/format.js", format_js),
    FILE_AT("/icon.svg", icon_svg),
    FILE_AT("/index.html", index_html),
    FILE_AT("/page-collection.js", page_collection_js),
    FILE_AT("/page-keys.js", page_keys_js),
    FILE_AT("/admin-gateway.js", admin_gateway_js),
    FILE_AT("/admin-keydialog.js", admin_keydialog_js),
    FILE_AT("/admin-teams.js", admin_teams_js),
    FILE_AT("/lazy.js", lazy_js),
    FILE_AT("/layout.css", layout_css),
    FILE_AT("/main.js", main_js),
    FILE_AT("/manifest.webmanifest", manifest_webmanifest),
    FILE_AT("/markdown.js", markdown_js),
    FILE_AT("/pages.css", pages_css),
    FILE_AT("/passage.js", passage_js),
    FILE_AT("/robots.txt", robots_txt),
    FILE_AT("/spend.js", spend_js),
    FILE_AT("/sse.js", sse_js),
    FILE_AT("/upload.js", upload_js),
    FILE_AT("/verdicts.js", verdicts_js),
    FILE_AT("/page-filter.js", page_filter_js),
    FILE_AT("/page-ranking.js", page_ranking_js),
    FILE_AT("/page-search.css", page_search_css),
    FILE_AT("/page-search.js", page_search_js),
    FILE_AT("/page-traces.js", page_traces_js),
    FILE_AT("/page-waterfall.js", page_waterfall_js),
    FILE_AT("/page-web.js", page_web_js),
#ifdef HAS_MARKED
    FILE_AT("/vendor/marked.js", marked_js),
#endif
};

size_t CWebFileCount(void) { return sizeof(files) / sizeof(files[0]); }

CWebFile CWebFileAt(size_t index) { return files[index]; }
