"use strict";
// The point nearest to the pointer is shown: points are small, and fingers are not.
const svg = document.querySelector(".map svg");
if (svg) {
  const points = [...svg.querySelectorAll(".points circle")];
  const links = svg.querySelector(".links"), panel = document.querySelector(".panel");
  const find = document.querySelector("#find"), hint = [...panel.childNodes];
  const name = (point) => point.querySelector("title").textContent;
  const near = (point) => point.dataset.near.split(" ").filter(Boolean).map((i) => points[i]);
  const REACH = 28;
  let kept = null, shown = null;

  function made(tag, text) {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  }

  function show(point) {
    if (point === shown) return;
    shown = point;
    for (const each of points) each.classList.remove("chosen", "near");
    links.replaceChildren();
    if (!point) { panel.replaceChildren(...hint); return; }
    point.classList.add("chosen");
    const list = document.createElement("ol");
    for (const other of near(point)) {
      other.classList.add("near");
      const line = document.createElementNS(svg.namespaceURI, "line");
      for (const [end, of] of [["1", point], ["2", other]])
        for (const axis of ["x", "y"]) line.setAttribute(axis + end, of.getAttribute("c" + axis));
      links.append(line);
      list.append(made("li", name(other)));
    }
    const head = made("p", "");
    head.append(made("b", name(point)), ` ${point.dataset.facts}`);
    panel.replaceChildren(head, list);
  }

  function at(event) {
    const where = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      svg.getScreenCTM().inverse());
    const scale = svg.getScreenCTM().a;
    let best = null, least = REACH / scale;
    for (const point of points) {
      const far = Math.hypot(point.cx.baseVal.value - where.x, point.cy.baseVal.value - where.y);
      if (far < least) [best, least] = [point, far];
    }
    return best;
  }

  svg.addEventListener("pointermove", (event) => { if (!kept) show(at(event)); });
  svg.addEventListener("pointerleave", () => { if (!kept) show(null); });
  svg.addEventListener("click", (event) => {
    const point = at(event);
    kept = point === kept ? null : point;
    show(point);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { kept = null; show(null); }
  });
  find.addEventListener("input", () => {
    const wanted = find.value.toLowerCase();
    kept = wanted ? points.find((each) => name(each).toLowerCase() === wanted)
      || points.find((each) => name(each).toLowerCase().includes(wanted)) || null : null;
    show(kept);
  });
}
