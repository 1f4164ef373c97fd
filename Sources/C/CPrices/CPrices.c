#include "CPrices.h"

static const unsigned char prices[] = {
#embed "../../Accounting/prices.json"
};

const unsigned char *heptad_prices(size_t *count) {
    *count = sizeof prices;
    return prices;
}
