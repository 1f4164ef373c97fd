// Numbers and times as people read them.

const picodollarsPerDollar = 1_000_000_000_000n;

/** An amount of picodollars in dollars, exactly: two decimals, or as many more as it needs. */
export function dollars(picodollars) {
  const amount = BigInt(picodollars);
  const magnitude = amount < 0n ? -amount : amount;
  const whole = (magnitude / picodollarsPerDollar).toLocaleString("en-US");
  const decimals = String(magnitude % picodollarsPerDollar)
    .padStart(12, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${amount < 0n ? "-" : ""}$${whole}.${decimals}`;
}

/** What an answer cost. */
export function cost(picodollars) {
  return picodollars === 0 ? "free" : dollars(picodollars);
}

/** A price of picodollars per token, for a million of them. */
export function pricePerMillion(picodollars) {
  return picodollars === 0 ? "free" : `${dollars(BigInt(picodollars) * 1_000_000n)} per million`;
}

export function duration(milliseconds) {
  if (milliseconds === 0) return "0";
  if (milliseconds < 1) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${Math.round(count / 1000)} KB`;
  if (count < 1e9) return `${(count / 1_000_000).toFixed(1)} MB`;
  return `${number(count / 1e9)} GB`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en-US")} ${number === 1 ? one : many}`;
}

export const number = (value) => value.toLocaleString("en-US");

/** A share between 0 and 1. */
export function percent(share) {
  const value = share * 100;
  return `${value === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)}%`;
}

export function dateTime(text) {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** `Today`, `Yesterday`, `Last 7 days`, or the month. */
export function dayGroup(text, now = new Date()) {
  const date = new Date(text);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const dayMilliseconds = 86_400_000;
  if (date.getTime() >= midnight) return "Today";
  if (date.getTime() >= midnight - dayMilliseconds) return "Yesterday";
  if (date.getTime() >= midnight - 7 * dayMilliseconds) return "Last 7 days";
  return date.toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

/** `2026-11` as `November 2026`. */
export function month(text) {
  return new Date(`${text}-15T12:00:00Z`)
    .toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

/** The first words of a question, as the title of its chat. */
export function titleOf(question, charactersMax = 60) {
  const line = question.trim().split("\n")[0];
  if (line.length <= charactersMax) return line;
  return `${line.slice(0, charactersMax).replace(/\s+\S*$/, "")}…`;
}
