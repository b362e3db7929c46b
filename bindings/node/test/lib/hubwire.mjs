// The package, as test files of the browser package import it.
export * from "@hubwire/node";
export { MessagePackHubProtocol } from "@hubwire/node/msgpack";
