// COpenBLAS
#pragma once
#include <cblas.h>
