/* clock.c - the two clocks, and RFC 3339 in the proleptic Gregorian calendar without help of the C library:
 * its time functions know locales and zones, which must not matter here. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

static const int64_t MS_PER_DAY = 86400000;
static const int64_t FIRST_MS = -62135596800000; /* 0001-01-01T00:00:00.000Z */
static const int64_t LAST_MS = 253402300799999;  /* 9999-12-31T23:59:59.999Z */

typedef struct {
    const char *at;
    const char *end;
} Cursor;

static int64_t days_from_date(int year, int month, int day);
static void date_from_days(int64_t days, int *year, int *month, int *day);
static int days_of_month(int year, int month);
static bool take_number(Cursor *cursor, unsigned digits, int *number);
static bool take_char(Cursor *cursor, char c);
static bool take_fraction(Cursor *cursor, int *ms);
static bool take_offset(Cursor *cursor, int *minutes);
static void put_number(char *place, unsigned digits, int number);

int64_t
conf_clock_monotonic_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
conf_clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
conf_clock_format(int64_t wall_ms, char text[CONF_TIME_TEXT_SIZE])
{
    int64_t ms = CLAMP(wall_ms, FIRST_MS, LAST_MS);
    int64_t days = ms / MS_PER_DAY - (ms % MS_PER_DAY < 0);
    int in_day = (int)(ms - days * MS_PER_DAY);
    int year, month, day;
    date_from_days(days, &year, &month, &day);

    memcpy(text, "0000-00-00T00:00:00.000Z", CONF_TIME_TEXT_SIZE);
    put_number(text, 4, year);
    put_number(text + 5, 2, month);
    put_number(text + 8, 2, day);
    put_number(text + 11, 2, in_day / 3600000);
    put_number(text + 14, 2, in_day / 60000 % 60);
    put_number(text + 17, 2, in_day / 1000 % 60);
    put_number(text + 20, 3, in_day % 1000);
}

bool
conf_clock_parse(ConfSlice text, int64_t *wall_ms)
{
    if (text.size == 0)
        return false;
    Cursor cursor = {text.data, text.data + text.size};
    int year, month, day, hour, minute, second, ms, offset;
    if (!take_number(&cursor, 4, &year) || !take_char(&cursor, '-') || !take_number(&cursor, 2, &month) ||
        !take_char(&cursor, '-') || !take_number(&cursor, 2, &day))
        return false;
    if (!take_char(&cursor, 'T') && !take_char(&cursor, 't'))
        return false;
    if (!take_number(&cursor, 2, &hour) || !take_char(&cursor, ':') || !take_number(&cursor, 2, &minute) ||
        !take_char(&cursor, ':') || !take_number(&cursor, 2, &second) || !take_fraction(&cursor, &ms) ||
        !take_offset(&cursor, &offset) || cursor.at != cursor.end)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 || minute > 59 ||
        second > 60)
        return false;

    int64_t minutes = (days_from_date(year, month, day) * 24 + hour) * 60 + minute - offset;
    if (second == 60) {
        /* A leap second ends a month in UTC; it is told as the instant that follows. */
        int next_year, next_month, next_day;
        date_from_days((minutes + 1) / 1440, &next_year, &next_month, &next_day);
        if ((minutes + 1) % 1440 != 0 || next_day != 1)
            return false;
        ms = 0;
    }
    int64_t second_ms = (minutes * 60 + second) * 1000;
    if (second_ms < FIRST_MS || second_ms > LAST_MS)
        return false;
    /* The fraction is rounded, except where that would leave the range. */
    *wall_ms = MIN(second_ms + ms, LAST_MS);
    return true;
}

/* Both after "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap day is the
 * last. */
static int64_t
days_from_date(int year, int month, int day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void
date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int
days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool
take_number(Cursor *cursor, unsigned digits, int *number)
{
    if ((size_t)(cursor->end - cursor->at) < digits)
        return false;
    *number = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = *cursor->at++;
        if (c < '0' || c > '9')
            return false;
        *number = *number * 10 + (c - '0');
    }
    return true;
}

static bool
take_char(Cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

/* None, or a point and any number of digits; rounded half up, so *ms may be 1000. */
static bool
take_fraction(Cursor *cursor, int *ms)
{
    *ms = 0;
    if (!take_char(cursor, '.'))
        return true;
    unsigned digits = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++, digits++) {
        int digit = *cursor->at - '0';
        if (digits < 3)
            *ms += digit * (digits == 0 ? 100 : digits == 1 ? 10 : 1);
        else if (digits == 3 && digit >= 5)
            *ms += 1;
    }
    return digits > 0;
}

static bool
take_offset(Cursor *cursor, int *minutes)
{
    *minutes = 0;
    if (take_char(cursor, 'Z') || take_char(cursor, 'z'))
        return true;
    bool behind = take_char(cursor, '-');
    if (!behind && !take_char(cursor, '+'))
        return false;
    int hour, minute;
    if (!take_number(cursor, 2, &hour) || !take_char(cursor, ':') || !take_number(cursor, 2, &minute))
        return false;
    if (hour > 23 || minute > 59)
        return false;
    *minutes = (behind ? -1 : 1) * (hour * 60 + minute);
    return true;
}

static void
put_number(char *place, unsigned digits, int number)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        place[i] = (char)('0' + number % 10);
}
