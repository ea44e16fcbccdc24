"use strict";
const seen = JSON.parse(document.getElementById("inside").textContent);
const panel = document.getElementById("values");
const low = [0, 34, 78], middle = [124, 123, 120], high = [254, 232, 56]; // cividis, from end to end
function colour(value, from, to) {
  const at = Math.min(1, Math.max(0, (value - from) / (to - from)));
  const [a, b, part] = at < 0.5 ? [low, middle, 2 * at] : [middle, high, 2 * at - 1];
  return `rgb(${a.map((v, k) => Math.round(v + part * (b[k] - v))).join(",")})`;
}
function show(token) {
  const at = Number(token.dataset.at);
  document.querySelectorAll("#sentence .on").forEach(other => other.classList.remove("on"));
  token.classList.add("on");
  const strip = document.createElement("div");
  strip.className = "strip";
  for (const { name, from, to, means, rows } of seen) {
    const [label, number, units] = ["span", "span", "div"].map(kind => document.createElement(kind));
    label.textContent = name;
    number.textContent = means[at].toFixed(2);
    units.className = "units";
    for (const value of rows[at]) {
      const unit = document.createElement("i");
      unit.style.background = colour(value, from, to);
      unit.title = value.toFixed(3);
      units.append(unit);
    }
    strip.append(label, number, units);
  }
  const head = document.createElement("p");
  head.className = "note";
  head.textContent = `position ${at + 1}: ${JSON.stringify(token.dataset.token)}; the mean of each value, and its units from low (blue) to high (yellow)`;
  panel.replaceChildren(head, strip);
}
for (const token of document.querySelectorAll("#sentence span"))
  for (const event of ["mouseenter", "focus", "click"]) token.addEventListener(event, () => show(token));
