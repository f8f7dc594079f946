
"use strict";
// One Tab stop per gallery: arrow keys move within it, as in any grid.
const dialog = document.querySelector("dialog");
const galleries = [...document.querySelectorAll(".gallery ul")].map(
  (list) => [...list.querySelectorAll("button")]);
let shown = [], at = 0;

function focusOn(buttons, index) {
  for (const button of buttons) button.tabIndex = -1;
  buttons[index].tabIndex = 0;
  buttons[index].focus();
}

function target(key, buttons, index) {
  const top = (i) => buttons[i].getBoundingClientRect().top;
  let columns = 1;
  while (columns < buttons.length && top(columns) === top(0)) columns++;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (key === "Home") return 0;
  if (key === "End") return buttons.length - 1;
  return step && index + step in buttons ? index + step : index;
}

function show(index) {
  at = (index + shown.length) % shown.length;
  const from = shown[at].querySelector("img"), figure = shown[at].closest("figure");
  const image = dialog.querySelector("img");
  image.src = from.src;
  image.alt = from.alt;
  image.className = from.className;
  dialog.querySelector("figure").className = figure.className;
  dialog.querySelector("figcaption").replaceChildren(
    ...figure.querySelector("figcaption").cloneNode(true).childNodes);
  dialog.querySelector(".place").textContent = `${at + 1} of ${shown.length}`;
}

for (const buttons of galleries) {
  buttons.forEach((button, index) => {
    button.tabIndex = index ? -1 : 0;
    button.addEventListener("click", () => {
      shown = buttons;
      show(index);
      dialog.showModal();
    });
    button.addEventListener("keydown", (event) => {
      if (!/^(Arrow|Home|End)/.test(event.key)) return;
      event.preventDefault();
      focusOn(buttons, target(event.key, buttons, index));
    });
  });
}

dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") show(at - 1);
  if (event.key === "ArrowRight") show(at + 1);
});
dialog.addEventListener("close", () => focusOn(shown, at));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.querySelector(".previous").addEventListener("click", () => show(at - 1));
dialog.querySelector(".next").addEventListener("click", () => show(at + 1));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
