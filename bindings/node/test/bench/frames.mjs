// What is measured, and the frames of it: those of the browser's measurements.
export { jsonFrames, message, messagePackFrames, TARGET } from "../../../web/test/bench/frames.js";

/** `perFrame` messages in a frame; `pace`: so many frames per second, else as fast as they are taken. */
export const CASES = {
  "JSON, 130 B": { encoding: "json", size: 130, perFrame: 1, messages: 200_000 },
  "JSON, 130 B, 2,000 per second": { encoding: "json", size: 130, perFrame: 1, messages: 8_000, pace: 2_000 },
  "JSON, 130 B, 16 in a frame": { encoding: "json", size: 130, perFrame: 16, messages: 320_000 },
  "JSON, 2 KB": { encoding: "json", size: 2_000, perFrame: 1, messages: 60_000 },
  "MessagePack, 130 B": { encoding: "messagepack", size: 130, perFrame: 1, messages: 200_000 },
  "MessagePack, 2 KB": { encoding: "messagepack", size: 2_000, perFrame: 1, messages: 60_000 },
};
