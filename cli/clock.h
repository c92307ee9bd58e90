#pragma once
/* Time that only runs forward, in seconds since some moment. */
double clock_seconds(void);
