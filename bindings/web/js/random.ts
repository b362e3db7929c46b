/** That many random bytes, as text that may be the name of a client. */
export const randomName = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A seed for the core: a whole number that a double holds. */
export const randomSeed = (): number => parseInt(randomName(6), 16);
