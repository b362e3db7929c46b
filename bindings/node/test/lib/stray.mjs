// Collects what went wrong outside of any promise of a test.

export class Stray {
  #found = [];
  #expected = [];

  watch() {
    process.on("unhandledRejection", (reason) => this.#add(`nobody handled: ${reason?.stack ?? reason}`));
    process.on("uncaughtException", (error) => this.#add(`uncaught: ${error?.stack ?? error}`));
    process.on("warning", (warning) => this.#add(`warning: ${warning.name}: ${warning.message}`));
    console.error = (...values) => this.#add(`console.error: ${values.join(" ")}`);
  }

  #add(text) {
    const short = text.split("\n").slice(0, 3).join(" ").slice(0, 600);
    if (this.#expected.some((pattern) => pattern.test(text)) || this.#found.includes(short)) return;
    this.#found.push(short);
  }

  /** From now on until `take`, texts with this pattern are as they should be. */
  expect(pattern) {
    this.#expected.push(new RegExp(pattern));
  }

  take() {
    this.#expected = [];
    return this.#found.splice(0);
  }
}
