#pragma once

/// Bounds in how many places the allocator keeps what was freed. Call it before there are threads.
void cmemory_settle(void);

/// Lets go of the pages of the program's code that were read so far. Those that are needed come back
/// from the system's file cache.
void cmemory_release_start(void);
