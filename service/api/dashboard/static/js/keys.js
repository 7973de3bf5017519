// `/` searches, `g` and a letter leads somewhere, `?` tells all this.

const TOGETHER_MS = 1200;

function isTyping(target) {
  return target.closest("input, select, textarea, [contenteditable], dialog[open]") !== null;
}

export function listenToKeys() {
  const help = document.querySelector("#help");
  let wasG = 0;
  document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.target.form?.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const place = event.timeStamp - wasG < TOGETHER_MS && document.querySelector(`.rail [data-letter="${CSS.escape(event.key)}"]`);
    wasG = event.key === "g" ? event.timeStamp : 0;
    if (place) location.assign(place.href);
    else if (event.key === "?") help?.showModal();
    else if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      search?.focus();
      search?.select();
      event.preventDefault();
    }
  });
}
