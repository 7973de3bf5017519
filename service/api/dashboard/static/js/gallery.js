// Each picture gets room by its shape; the rows then fill the page by themselves.

function hang() {
  for (const item of document.querySelectorAll(".gallery li")) {
    const shape = item.dataset.width / item.dataset.height;
    item.style.flexGrow = shape;
    item.style.flexBasis = `${item.clientHeight * shape}px`;
  }
}

hang();
addEventListener("resize", hang);
document.addEventListener("htmx:after:swap", hang);
