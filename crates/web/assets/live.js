// Continues the log of a running run. Text goes into text nodes only.
"use strict";
(() => {
  const log = document.getElementById("rows");
  const note = document.getElementById("live");
  if (!log || !log.dataset.live || !window.EventSource) return;

  // A page that grows for ever would be of no use on a phone.
  const KEPT = 5000;
  const steps = JSON.parse(log.dataset.steps || "[]");
  let open = "open" in log.dataset ? log.lastElementChild : null;
  let step = null;
  let known = log.querySelector(".step") ? lastStep() : null;

  function lastStep() {
    const heads = log.querySelectorAll(".step");
    return heads[heads.length - 1].textContent;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function lineOf(row) {
    const line = element("div", "row");
    line.id = "L" + row.number;
    const number = element("a", "", String(row.number));
    number.href = "#L" + row.number;
    number.setAttribute("aria-label", "Line " + row.number);
    const text = element("span");
    for (const span of row.spans) {
      text.append(span.c ? element("b", span.c, span.t) : span.t);
    }
    line.append(number, text);
    return line;
  }

  function add(row) {
    const name = steps[row.step];
    if (row.step !== step && name !== undefined && name !== known) {
      log.append(element("div", "step", name));
    }
    step = row.step;
    known = name;
    const line = lineOf(row);
    log.append(line);
    return line;
  }

  function follow(change) {
    const below = log.scrollHeight - log.scrollTop - log.clientHeight;
    change();
    while (log.childElementCount > KEPT) log.firstElementChild.remove();
    if (below < 40) log.scrollTop = log.scrollHeight;
  }

  const source = new EventSource(log.dataset.live);
  log.scrollTop = log.scrollHeight;

  source.addEventListener("rows", (event) => {
    const data = JSON.parse(event.data);
    follow(() => {
      if (open) open.remove();
      data.rows.forEach(add);
      open = data.open ? add(data.open) : null;
    });
    note.textContent = "";
  });

  source.addEventListener("attempt", (event) => {
    log.replaceChildren();
    open = step = known = null;
    note.textContent = "Attempt " + JSON.parse(event.data).attempt + " has begun.";
  });

  source.addEventListener("done", (event) => {
    source.close();
    const badge = JSON.parse(event.data);
    if (!badge) return;
    const sign = element("span", "", badge.icon);
    sign.setAttribute("aria-hidden", "true");
    const shown = element("span", "badge " + badge.class);
    shown.append(sign, " " + badge.word);
    document.getElementById("state").replaceChildren(shown);
    document.title = badge.word + document.title.replace(/^[^:]*/, "");
    const again = element("a", "", "Show the results");
    again.href = location.pathname;
    note.replaceChildren("The run is over. ", again);
  });
})();
