// What every page has: live parts, times that stay true, keys, copying, the theme.
// A page works without any of it.

import { follow } from "./live.js";
import { keepTimes } from "./times.js";
import { listenToKeys } from "./keys.js";
import { drawCharts } from "./charts.js";

function copyOnClick() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.dataset.copied = "";
    say("Copied");
    setTimeout(() => delete button.dataset.copied, 1500);
  });
}

function say(words) {
  let live = document.querySelector("#said");
  if (!live) {
    live = Object.assign(document.createElement("p"), { id: "said", className: "visually-hidden" });
    live.setAttribute("role", "status");
    document.body.append(live);
  }
  live.textContent = words;
}

function switchTheme() {
  const root = document.documentElement;
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("darkroom-theme", root.dataset.theme);
    document.dispatchEvent(new Event("themechange"));
  });
}

function askFirst() {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

// A link from another site brings no cookie along; the same address asked for by
// our own page does.
function comeBackIn() {
  const from = document.referrer && new URL(document.referrer).origin;
  const next = new URLSearchParams(location.search).get("next");
  if (location.pathname === "/ui/sign-in" && next?.startsWith("/ui/") && from && from !== location.origin) {
    location.replace(next);
  }
}

comeBackIn();
copyOnClick();
switchTheme();
askFirst();
keepTimes();
listenToKeys();
drawCharts();
follow(document.body.dataset.events);
