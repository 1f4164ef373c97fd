#include "CKeyword.h"

#include <math.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

// FTS5's own `bm25` looks up how long a row is, in a table of its own, for every row that matches: of
// 40,000 rows that takes 90 milliseconds, fourteen times as long as finding them.

enum { page_rows = 1 << 16, pages_max = 1 << 12 };

typedef _Atomic uint16_t length;

// Zero where it was not asked for yet.
struct keyword_lengths {
    _Atomic(length *) pages[pages_max];
};

keyword_lengths *keyword_lengths_new(void) { return calloc(1, sizeof(keyword_lengths)); }

void keyword_lengths_free(keyword_lengths *lengths) {
    if (lengths == NULL) return;
    for (int i = 0; i < pages_max; i++) free(atomic_load(&lengths->pages[i]));
    free(lengths);
}

// Where the length of a row is kept; NULL where it cannot be.
static length *place_of(keyword_lengths *lengths, sqlite3_int64 row) {
    if (row < 0 || row >= (sqlite3_int64)page_rows * pages_max) return NULL;
    _Atomic(length *) *page = &lengths->pages[row / page_rows];
    length *rows = atomic_load_explicit(page, memory_order_acquire);
    if (rows == NULL) {
        length *fresh = calloc(page_rows, sizeof(length));
        if (fresh == NULL) return NULL;
        if (atomic_compare_exchange_strong(page, &rows, fresh)) {
            rows = fresh;
        } else {
            free(fresh);  // Another thread was first.
        }
    }
    return rows + row % page_rows;
}

// What is the same for all rows of one query.
typedef struct {
    int phrases;
    double average;  // words of a row
    double idf[];    // of each phrase
} query;

static int count_row(const Fts5ExtensionApi *api, Fts5Context *context, void *count) {
    (void)api;
    (void)context;
    ++*(sqlite3_int64 *)count;
    return SQLITE_OK;
}

static int begin(const Fts5ExtensionApi *api, Fts5Context *context, query **result) {
    int phrases = api->xPhraseCount(context);
    sqlite3_int64 rows = 0, words = 0;
    query *own = malloc(sizeof(query) + sizeof(double) * (size_t)phrases);
    if (own == NULL) return SQLITE_NOMEM;
    int code = api->xRowCount(context, &rows);
    if (code == SQLITE_OK) code = api->xColumnTotalSize(context, -1, &words);
    own->phrases = phrases;
    own->average = rows > 0 && words > 0 ? (double)words / (double)rows : 1;
    for (int i = 0; code == SQLITE_OK && i < phrases; i++) {
        sqlite3_int64 found = 0;
        code = api->xQueryPhrase(context, i, &found, count_row);
        double idf = log(((double)(rows - found) + 0.5) / ((double)found + 0.5));
        own->idf[i] = idf > 0 ? idf : 1e-6;
    }
    // It frees what it is given also where it fails.
    if (code == SQLITE_OK) return api->xSetAuxdata(context, *result = own, free);
    free(own);
    return code;
}

static int words_of(const Fts5ExtensionApi *api, Fts5Context *context, int *words) {
    length *place = place_of(api->xUserData(context), api->xRowid(context));
    if (place != NULL) {
        *words = atomic_load_explicit(place, memory_order_relaxed);
        if (*words > 0) return SQLITE_OK;
    }
    int code = api->xColumnSize(context, -1, words);
    if (code == SQLITE_OK && place != NULL && *words > 0 && *words <= UINT16_MAX)
        atomic_store_explicit(place, (uint16_t)*words, memory_order_relaxed);
    return code;
}

static void row_bm25(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result,
                     int count, sqlite3_value **weights) {
    const double k1 = 1.2, b = 0.75;
    query *own = api->xGetAuxdata(context, 0);
    int code = own == NULL ? begin(api, context, &own) : SQLITE_OK;
    int words = 0;
    if (code == SQLITE_OK) code = words_of(api, context, &words);
    double score = 0;
    for (int i = 0; code == SQLITE_OK && i < own->phrases; i++) {
        Fts5PhraseIter place;
        int column = -1, offset = -1;
        double often = 0;
        code = api->xPhraseFirst(context, i, &place, &column, &offset);
        while (code == SQLITE_OK && column >= 0) {
            often += column < count ? sqlite3_value_double(weights[column]) : 1;
            api->xPhraseNext(context, &place, &column, &offset);
        }
        if (often > 0)
            score += own->idf[i] * (often * (k1 + 1))
                     / (often + k1 * (1 - b + b * words / own->average));
    }
    if (code == SQLITE_OK) {
        sqlite3_result_double(result, -score);
    } else {
        sqlite3_result_error_code(result, code);
    }
}

int keyword_register(struct sqlite3 *connection, keyword_lengths *lengths) {
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection, "SELECT fts5(?1)", -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    if (code == SQLITE_OK) sqlite3_step(statement);
    int finalized = sqlite3_finalize(statement);
    if (code != SQLITE_OK) return code;
    if (api == NULL || api->iVersion < 2) return finalized != SQLITE_OK ? finalized : SQLITE_ERROR;
    return api->xCreateFunction(api, "row_bm25", lengths, row_bm25, NULL);
}
