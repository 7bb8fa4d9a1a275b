// Bars that read without colour: each measure has a pattern of its own, and its number beside or below.
const MEASURES = ["recognised", "recognisedByNotice", "refused", "refusedAgainstNotice", "undetermined"];
const PATTERNS = [
  '<rect width="8" height="8" fill="currentColor"/>',
  '<path d="M0 8L8 0M-2 2L2-2M6 10L10 6" stroke="currentColor" stroke-width="2.5"/>',
  '<rect width="8" height="8" fill="none"/>',
  '<path d="M0 0L8 8M0 8L8 0" stroke="currentColor" stroke-width="2"/>',
  '<circle cx="4" cy="4" r="1.8" fill="currentColor"/>',
];
const escaped = text => String(text).replace(/[&<>"]/g, one => `&#${one.charCodeAt(0)};`);
const defs = prefix => `<defs>${PATTERNS.map((inside, at) =>
  `<pattern id="${prefix}${at}" width="8" height="8" patternUnits="userSpaceOnUse">${inside}</pattern>`).join("")}</defs>`;
const box = (x, y, width, height, pattern) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="url(#${pattern})" stroke="currentColor"/>`;

function legend() {
  return el("ul", { class: "legend" }, ...MEASURES.map((name, at) => {
    const item = el("li", {});
    item.innerHTML = `<svg viewBox="0 0 22 16" aria-hidden="true">${defs(`l${at}x`)}${box(.5, .5, 21, 15, `l${at}x${at}`)}</svg>`;
    item.append(t("measures")[name]);
    return item;
  }));
}

// One bar for each row, with its label above it and its numbers behind the label.
function bars(rows, width) {
  const most = Math.max(1, ...rows.map(one => MEASURES.reduce((sum, name) => sum + one[name], 0)));
  const line = 46, inside = width - 2;
  const drawn = rows.map((row, at) => {
    let x = 1;
    const y = at * line, total = MEASURES.reduce((sum, name) => sum + row[name], 0);
    const pieces = MEASURES.map((name, measure) => {
      if (!row[name]) return "";
      const wide = Math.max(3, row[name] / most * (inside - 12)), piece = box(x, y + 20, wide, 18, `b${measure}`);
      x += wide;
      return piece;
    });
    const numbers = MEASURES.map(name => row[name]).join(" · ");
    return `<text x="1" y="${y + 14}">${escaped(row.label)}${t("bar")}${total}（${numbers}）</text>${pieces.join("")}`;
  });
  const label = escaped(t("chart"));
  return `<svg viewBox="0 0 ${width} ${rows.length * line}" role="img" aria-label="${label}">${defs("b")}${drawn.join("")}</svg>`;
}
