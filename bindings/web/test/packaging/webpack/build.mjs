// As `webpack build` would, without the package of its command line.
import { fileURLToPath } from "node:url";
import webpack from "webpack";

const context = fileURLToPath(new URL(".", import.meta.url));
webpack(
  { context, mode: "production", entry: "./main.js", output: { path: `${context}dist`, clean: true } },
  (error, stats) => {
    if (error || stats.hasErrors() || stats.hasWarnings()) {
      console.error(error ?? stats.toString({ all: false, errors: true, warnings: true }));
      process.exitCode = 1;
    }
  },
);
