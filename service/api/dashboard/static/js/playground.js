// What the form does beyond what a form does: references by drop and by paste, a word
// on the button, ideas that fill in. All of it is there without, only plainer.

const form = document.querySelector("#wish");
const prompt = form.querySelector("#prompt");
const files = form.querySelector("input[type=file]");
const box = form.querySelector("[data-drop]");
const previews = form.querySelector("[data-previews]");
const MOST = 16;

function choose(list) {
  const chosen = new DataTransfer();
  [...list].slice(0, MOST).forEach((file) => chosen.items.add(file));
  files.files = chosen.files;
  showChosen();
}

function add(list) {
  const images = [...list].filter((file) => file.type.startsWith("image/"));
  if (images.length) choose([...files.files, ...images]);
  return images.length > 0;
}

function showChosen() {
  previews.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
  previews.replaceChildren(...[...files.files].map((file, place) => {
    const item = document.createElement("li");
    const image = Object.assign(new Image(48, 48), { src: URL.createObjectURL(file), alt: file.name });
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
    button.setAttribute("aria-label", `Leave out ${file.name}`);
    button.addEventListener("click", () => choose([...files.files].filter((_, other) => other !== place)));
    item.append(image, button);
    return item;
  }));
}

function takeDrops() {
  const over = (is) => (event) => {
    event.preventDefault();
    box.classList.toggle("is-over", is);
  };
  box.addEventListener("dragover", over(true));
  box.addEventListener("dragleave", over(false));
  box.addEventListener("drop", (event) => {
    over(false)(event);
    add(event.dataTransfer.files);
  });
  prompt.addEventListener("paste", (event) => {
    if (add(event.clipboardData.files)) event.preventDefault();
  });
  files.addEventListener("change", showChosen);
}

function sayHowMany() {
  const number = form.querySelector("#n");
  const most = form.querySelector("#model").selectedOptions[0]?.dataset.most;
  if (most) number.max = most;
  const count = Number(number.value);
  form.querySelector("[data-how-many]").textContent = count > 1 ? `${count} images` : "the image";
}

// A field that nothing was put into is not sent.
form.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) {
    if (value instanceof File && !value.size) event.formData.delete(name);
  }
});

document.addEventListener("click", (event) => {
  const idea = event.target.closest("[data-idea]");
  if (!idea) return;
  event.preventDefault();
  prompt.value = idea.dataset.idea;
  prompt.focus();
});

form.addEventListener("input", sayHowMany);
sayHowMany();
takeDrops();
