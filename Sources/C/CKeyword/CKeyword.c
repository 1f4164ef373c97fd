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

static double average_of(sqlite3_int64 rows, sqlite3_int64 words) {
    return rows > 0 && words > 0 ? (double)words / (double)rows : 1;
}

// What finding a phrase says of a row, the more the rarer it is.
static double idf_of(sqlite3_int64 rows, sqlite3_int64 holding) {
    double idf = log(((double)(rows - holding) + 0.5) / ((double)holding + 0.5));
    return idf > 0 ? idf : 1e-6;
}

static int begin(const Fts5ExtensionApi *api, Fts5Context *context, query **result) {
    int phrases = api->xPhraseCount(context);
    sqlite3_int64 rows = 0, words = 0;
    query *own = malloc(sizeof(query) + sizeof(double) * (size_t)phrases);
    if (own == NULL) return SQLITE_NOMEM;
    int code = api->xRowCount(context, &rows);
    if (code == SQLITE_OK) code = api->xColumnTotalSize(context, -1, &words);
    own->phrases = phrases;
    own->average = average_of(rows, words);
    for (int i = 0; code == SQLITE_OK && i < phrases; i++) {
        sqlite3_int64 found = 0;
        code = api->xQueryPhrase(context, i, &found, count_row);
        own->idf[i] = idf_of(rows, found);
    }
    // It frees what it is given also where it fails.
    if (code == SQLITE_OK) return api->xSetAuxdata(context, *result = own, free);
    free(own);
    return code;
}

static int words_of(const Fts5ExtensionApi *api, Fts5Context *context, keyword_lengths *lengths,
                    int *words) {
    length *place = place_of(lengths, api->xRowid(context));
    if (place != NULL) {
        *words = atomic_load_explicit(place, memory_order_relaxed);
        if (*words > 0) return SQLITE_OK;
    }
    int code = api->xColumnSize(context, -1, words);
    if (code == SQLITE_OK && place != NULL && *words > 0 && *words <= UINT16_MAX)
        atomic_store_explicit(place, (uint16_t)*words, memory_order_relaxed);
    return code;
}

static const double k1 = 1.2, b = 0.75;

// How often a phrase is in the row, each time weighed by the column it is in.
static int times_of(const Fts5ExtensionApi *api, Fts5Context *context, int phrase, int count,
                    const double *weights, double *times) {
    Fts5PhraseIter place;
    int column = -1, offset = -1;
    *times = 0;
    int code = api->xPhraseFirst(context, phrase, &place, &column, &offset);
    while (code == SQLITE_OK && column >= 0) {
        *times += column < count ? weights[column] : 1;
        api->xPhraseNext(context, &place, &column, &offset);
    }
    return code;
}

static double part_of(double times, int words, double average) {
    return times * (k1 + 1) / (times + k1 * (1 - b + b * words / average));
}

enum { columns_max = 16 };

// How many weights there are.
static int read_weights(int count, sqlite3_value **values, double weights[columns_max]) {
    if (count > columns_max) count = columns_max;
    for (int i = 0; i < count; i++) weights[i] = sqlite3_value_double(values[i]);
    return count;
}

static void row_bm25(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result,
                     int count, sqlite3_value **values) {
    double weights[columns_max], score = 0;
    count = read_weights(count, values, weights);
    query *own = api->xGetAuxdata(context, 0);
    int code = own == NULL ? begin(api, context, &own) : SQLITE_OK;
    int words = 0;
    if (code == SQLITE_OK) code = words_of(api, context, api->xUserData(context), &words);
    for (int i = 0; code == SQLITE_OK && i < own->phrases; i++) {
        double times = 0;
        code = times_of(api, context, i, count, weights, &times);
        if (code == SQLITE_OK && times > 0)
            score += own->idf[i] * part_of(times, words, own->average);
    }
    if (code == SQLITE_OK) {
        sqlite3_result_double(result, -score);
    } else {
        sqlite3_result_error_code(result, code);
    }
}

// The best rows of a query whose phrases stand alone between ORs. Phrase by phrase: the rows of one
// are read straight through, where SQLite's own way merges all phrases, ranks row by row and sorts.

typedef struct {
    sqlite3_int64 row;
    double score;
} found;

typedef struct {
    found *items;
    size_t count, room;
} list;

static int reserve(list *list, size_t room) {
    if (room <= list->room) return SQLITE_OK;
    if (room < list->room * 2) room = list->room * 2;
    if (room < 1024) room = 1024;
    found *larger = realloc(list->items, room * sizeof(found));
    if (larger == NULL) return SQLITE_NOMEM;
    list->items = larger;
    list->room = room;
    return SQLITE_OK;
}

typedef struct {
    sqlite3_int64 first, last;
} stretch;

typedef struct {
    keyword_lengths *lengths;
    double average;  // words of a row
    int weight_count;
    double weights[columns_max];
    // Where rows may be, ascending and apart; everywhere without any.
    const stretch *allowed;
    size_t allowed_count, allowed_place;
    int is_everywhere;
    // Of the phrase that is being read: its rows so far, and the part of each score that does not
    // depend on how rare it is.
    sqlite3_int64 rows;
    list parts;
    // A phrase that is in more rows is left out, as soon as that is found; zero for any number.
    sqlite3_int64 rows_max;
} reading;

static int is_allowed(reading *reading, sqlite3_int64 row) {
    if (reading->is_everywhere) return 1;
    while (reading->allowed_place < reading->allowed_count
           && reading->allowed[reading->allowed_place].last < row)
        reading->allowed_place++;
    return reading->allowed_place < reading->allowed_count
           && reading->allowed[reading->allowed_place].first <= row;
}

// The context is that of the phrase's own query: it is phrase 0 of it, and there are no user data.
static int read_row(const Fts5ExtensionApi *api, Fts5Context *context, void *user) {
    reading *own = user;
    own->rows++;
    if (own->rows_max > 0 && own->rows > own->rows_max) return SQLITE_DONE;
    sqlite3_int64 row = api->xRowid(context);
    if (!is_allowed(own, row)) return SQLITE_OK;
    int words = 0;
    double times = 0;
    int code = reserve(&own->parts, own->parts.count + 1);
    if (code == SQLITE_OK) code = words_of(api, context, own->lengths, &words);
    if (code == SQLITE_OK)
        code = times_of(api, context, 0, own->weight_count, own->weights, &times);
    if (code == SQLITE_OK && times > 0)
        own->parts.items[own->parts.count++] = (found){row, part_of(times, words, own->average)};
    return code;
}

// Adds to the scores of some rows those of a phrase; both lists ascend by row. `spare` is room to work in.
static int add(list *sums, list *spare, const list *parts, double idf) {
    int code = reserve(spare, sums->count + parts->count);
    if (code != SQLITE_OK || parts->count == 0) return code;
    const found *sum = sums->items, *sum_end = sum + sums->count;
    const found *part = parts->items, *part_end = part + parts->count;
    found *next = spare->items;
    while (sum < sum_end || part < part_end) {
        if (part == part_end || (sum < sum_end && sum->row < part->row)) {
            *next++ = *sum++;
        } else {
            double score = idf * part->score;
            if (sum < sum_end && sum->row == part->row) score += sum++->score;
            *next++ = (found){part++->row, score};
        }
    }
    spare->count = (size_t)(next - spare->items);
    list swapped = *sums;
    *sums = *spare;
    *spare = swapped;
    return SQLITE_OK;
}

static int is_worse(found left, found right) {
    return left.score != right.score ? left.score < right.score : left.row > right.row;
}

// Of a heap whose worst is at its top.
static void sink(found *heap, size_t count, size_t place) {
    found moved = heap[place];
    for (size_t below = 2 * place + 1; below < count; below = 2 * place + 1) {
        if (below + 1 < count && is_worse(heap[below + 1], heap[below])) below++;
        if (!is_worse(heap[below], moved)) break;
        heap[place] = heap[below];
        place = below;
    }
    heap[place] = moved;
}

// Puts the best of the rows in front, best first.
static size_t select_best(found *rows, size_t count, size_t limit) {
    if (limit > count) limit = count;
    if (limit == 0) return 0;
    for (size_t place = limit / 2; place-- > 0;) sink(rows, limit, place);
    for (size_t place = limit; place < count; place++) {
        if (!is_worse(rows[0], rows[place])) continue;
        rows[0] = rows[place];
        sink(rows, limit, 0);
    }
    for (size_t last = limit; last-- > 1;) {
        found worst = rows[0];
        rows[0] = rows[last];
        rows[last] = worst;
        sink(rows, last, 0);
    }
    return limit;
}

static void best_bm25(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result,
                      int count, sqlite3_value **values) {
    if (count < 3) {
        sqlite3_result_error(result, "best_bm25 wants a limit, stretches of rows and rows_max", -1);
        return;
    }
    sqlite3_int64 limit = sqlite3_value_int64(values[0]);
    reading reading = {
        .lengths = api->xUserData(context),
        .allowed = sqlite3_value_blob(values[1]),
        .allowed_count = (size_t)sqlite3_value_bytes(values[1]) / sizeof(stretch),
        .is_everywhere = sqlite3_value_type(values[1]) == SQLITE_NULL,
        .rows_max = sqlite3_value_int64(values[2]),
    };
    reading.weight_count = read_weights(count - 3, values + 3, reading.weights);
    sqlite3_int64 total = 0, words = 0;
    int code = api->xRowCount(context, &total);
    if (code == SQLITE_OK) code = api->xColumnTotalSize(context, -1, &words);
    reading.average = average_of(total, words);
    list sums = {0}, spare = {0};
    for (int i = 0; code == SQLITE_OK && i < api->xPhraseCount(context); i++) {
        reading.rows = 0;
        reading.parts.count = reading.allowed_place = 0;
        code = api->xQueryPhrase(context, i, &reading, read_row);
        if (code != SQLITE_OK || (reading.rows_max > 0 && reading.rows > reading.rows_max)) continue;
        code = add(&sums, &spare, &reading.parts, idf_of(total, reading.rows));
    }
    if (code == SQLITE_OK) {
        size_t kept = select_best(sums.items, sums.count, limit < 0 ? 0 : (size_t)limit);
        sqlite3_result_blob64(result, sums.items, kept * sizeof(found), SQLITE_TRANSIENT);
    } else {
        sqlite3_result_error_code(result, code);
    }
    free(reading.parts.items);
    free(sums.items);
    free(spare.items);
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
    code = api->xCreateFunction(api, "row_bm25", lengths, row_bm25, NULL);
    return code != SQLITE_OK ? code
                             : api->xCreateFunction(api, "best_bm25", lengths, best_bm25, NULL);
}
