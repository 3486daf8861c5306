// Times as Slack words them. English and twelve hours throughout, so that a test reads the same everywhere.
const LOCALE = 'en-US';
const DAY_MS = 86_400_000;
const HALF_A_YEAR_MS = 183 * DAY_MS;

const format = (date, options) => new Intl.DateTimeFormat(LOCALE, options).format(date);

const ordinal = (day) => {
  const tens = day % 100;
  if (tens > 10 && tens < 14) return `${day}th`;
  return `${day}${['th', 'st', 'nd', 'rd'][day % 10] ?? 'th'}`;
};

/** A message's timestamp ("1700000000.000100") as a Date. */
export const dateOf = (ts) => new Date(Number(ts) * 1000);

/** A clock time such as "9:05 AM". */
export const clockTime = (date) => format(date, { hour: 'numeric', minute: '2-digit' });

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

const daysFromToday = (date) => Math.round((midnight(date) - midnight(new Date())) / DAY_MS);

const NEAR = { '-1': 'yesterday', 0: 'today', 1: 'tomorrow' };

const yearIfFar = (date) => (Math.abs(date - Date.now()) > HALF_A_YEAR_MS ? `, ${date.getFullYear()}` : '');

const monthDay = (date) => `${format(date, { month: 'long' })} ${ordinal(date.getDate())}`;

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The words of a day divider. */
export function dayName(date) {
  const near = daysFromToday(date);
  if (near === 0 || near === -1) return capital(NEAR[near]);
  return `${format(date, { weekday: 'long' })}, ${monthDay(date)}${yearIfFar(date)}`;
}

/** Whether two dates fall on one day. */
export const sameDay = (a, b) => midnight(a) === midnight(b);

/** The full moment, for a tooltip. */
export const fullTime = (date) => `${monthDay(date)}, ${date.getFullYear()} at ${format(date, { timeStyle: 'medium' })}`;

/** "today at 9:05 AM", for the line under a message that has replies. */
export function dayAndTime(date) {
  const near = NEAR[daysFromToday(date)];
  return `${near ?? monthDay(date) + yearIfFar(date)} at ${clockTime(date)}`;
}

function ago(date) {
  const seconds = Math.round((Date.now() - date) / 1000);
  const [unit, size] = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]]
    .find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1];
  const count = Math.round(Math.abs(seconds) / size);
  const words = `${count} ${unit}${count === 1 ? '' : 's'}`;
  return seconds >= 0 ? `${words} ago` : `in ${words}`;
}

const PLAIN = {
  date_num: (d) => `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, '0')}-${String(d.getDate()).padStart(2, '0')}`,
  date_slash: (d) => format(d, { year: 'numeric', month: '2-digit', day: '2-digit' }),
  date: (d) => monthDay(d) + yearIfFar(d),
  date_short: (d) => `${format(d, { month: 'short', day: 'numeric' })}, ${d.getFullYear()}`,
  date_long: (d) => `${format(d, { weekday: 'long' })}, ${monthDay(d)}, ${d.getFullYear()}`,
  date_long_full: (d) => `${format(d, { weekday: 'long' })}, ${monthDay(d)}, ${d.getFullYear()}`,
  day_divider_pretty: (d) => dayName(d),
  time: clockTime,
  time_secs: (d) => format(d, { hour: 'numeric', minute: '2-digit', second: '2-digit' }),
  ago,
};

/** Slack's date formatting: the tokens in braces of `pattern`, in this browser's time zone; null if not a date. */
export function formatDate(seconds, pattern) {
  const date = new Date(Number(seconds) * 1000);
  if (!/^-?\d+$/.test(String(seconds)) || Number.isNaN(date.getTime())) return null;
  return pattern.replace(/\{(\w+)\}/g, (whole, token) => {
    const base = token.replace(/_pretty$/, '');
    const near = base === token ? undefined : NEAR[daysFromToday(date)];
    if (near !== undefined && Object.hasOwn(PLAIN, base)) return near;
    const make = Object.hasOwn(PLAIN, token) ? PLAIN[token] : Object.hasOwn(PLAIN, base) ? PLAIN[base] : null;
    return make ? make(date) : whole;
  });
}
