// COpenBLAS
