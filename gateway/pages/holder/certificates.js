// Test certificates: of an own result, to print or to send, and one of another region, to present here.
const certifiable = record => record.kind === "RESULT" && !record.origin && record.result !== "INCONCLUSIVE" && record.sampledAt;

function certificate(record) {
  openSheet(t("certificate"), async () => {
    const issued = await call("/v1/certificates:issue", { document: person().document, region: record.region,
      sourceId: record.sourceId, formats: ["QR_SVG", "PDF"] });
    const page = issued.pdf && Uint8Array.from(atob(issued.pdf), letter => letter.charCodeAt(0));
    const link = page && URL.createObjectURL(new Blob([page], { type: "application/pdf" }));
    const copied = el("span", { role: "status" });
    return [
      el("p", {}, el("strong", {}, t("result")[record.result]), " · ", t("from") + " " + place(record.region),
        el("br"), times(record)),
      issued.leftOut && el("p", { role: "status", "data-left-out": true }, both(issued.leftOut.text), " ",
        el("button", { type: "button", onclick: () => certificate(record) }, t("again"))),
      issued.qrSvg && el("img", { class: "certificate", alt: t("certificateQr"), width: 300, height: 300,
        src: "data:image/svg+xml," + encodeURIComponent(issued.qrSvg) }),
      el("p", { class: "soft" }, t("until") + when(issued.expiresAt) + t("stop") + t("certificateHint")),
      el("div", { class: "row" },
        link && el("a", { class: "button", href: link, download: record.region + "-certificate.pdf", "data-pdf": true }, t("pdf")),
        el("button", { type: "button", onclick: async () => {
          try {
            await navigator.clipboard.writeText(issued.text);
            copied.textContent = "✓ " + t("copied");
          } catch {
            copied.textContent = t("notCopied");
          }
        } }, t("copy"))),
      copied,
      el("details", {}, el("summary", {}, t("asText")), el("code", { translate: "no" }, issued.text)),
    ];
  });
}

function present() {
  const region = $("region").value, request = requestId(), said = el("p", { role: "alert" });
  const text = el("textarea", { id: "presented", rows: 5, spellcheck: "false", autocomplete: "off", placeholder: "HC1:…" });
  const video = el("video", { muted: true, playsinline: true, hidden: true });
  let stop = null;
  const stopScanning = () => { if (stop) stop(); stop = null; video.hidden = true; };
  const camera = canScan() && el("button", { type: "button", "data-camera": true, onclick: async () => {
    stopScanning();
    said.textContent = "";
    video.hidden = false;
    try {
      stop = await scan(video, scanned => {
        if (!scanned.startsWith("HC1:")) { said.textContent = t("notCertificate"); return; }
        stopScanning();
        text.value = scanned;
        said.textContent = "";
        form.querySelector("button.main").focus();
      });
      // It may have been closed while the camera was asked for.
      if (!form.isConnected || !$("sheet").open) stopScanning();
    } catch {
      video.hidden = true;
      said.textContent = t("noCamera");
    }
  } }, t("camera"));
  $("sheet").addEventListener("close", stopScanning, { once: true });
  const form = el("form", { onsubmit: async event => {
    event.preventDefault();
    const button = form.querySelector("button.main");
    stopScanning();
    button.disabled = true;
    said.textContent = "";
    try {
      const kept = await call("/v1/certificates:present", { document: person().document, region, text: text.value.trim(), requestId: request });
      const done = el("p", { role: "status", tabindex: "-1" }, "✓ " + (kept.created ? t("presented") : t("presentedBefore")) + place(region)
        + t("stop") + t("result")[kept.record.result] + " · " + t("from") + " " + place(kept.record.origin.region) + " · " + times(kept.record));
      form.replaceWith(done);
      done.focus();
      if (last) last.asked -= renewal();
      ask();
    } catch (error) {
      button.disabled = false;
      said.textContent = error && error.reason ? t("noAnswer") + saidOf(error) : t("unreachable");
    }
  } },
  camera, video, el("label", { for: "presented" }, t("paste")), text, el("button", { class: "main" }, t("presentIn") + place(region)), said);
  sheet(t("present"), el("p", { class: "soft" }, t("presentHint")), form);
}
