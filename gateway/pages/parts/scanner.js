// The camera as a scanner of QR codes, where the browser can read them.
const canScan = () => "BarcodeDetector" in window && !!navigator.mediaDevices;

// Tells of each code once, one after the other, until what it returns is called.
async function scan(video, taken) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  let before = "";
  video.srcObject = stream;
  await video.play();
  const timer = setInterval(async () => {
    const [code] = await detector.detect(video).catch(() => []);
    if (!code || code.rawValue === before) return;
    before = code.rawValue;
    taken(code.rawValue);
  }, 200);
  return () => {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}
