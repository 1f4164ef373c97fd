#pragma once

/// Bounds in how many places the allocator keeps what was freed. Call it before there are threads.
void cmemory_settle(void);
