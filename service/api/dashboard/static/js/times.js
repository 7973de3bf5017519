// Relative times grow old: `data-ago` is told anew now and then, `data-since` counts.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

function span(seconds) {
  for (const [size, name] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.floor(seconds)} s`;
}

function passed(time) {
  return Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
}

function show() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const seconds = passed(time);
    const words = seconds < 5 ? "just now" : `${span(seconds)} ago`;
    if (time.textContent !== words) time.textContent = words;
  }
  for (const time of document.querySelectorAll("time[data-since]")) time.textContent = span(passed(time));
}

export function keepTimes() {
  show();
  setInterval(show, 1000);
}
