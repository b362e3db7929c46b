/** The state of a connection. */
export enum HubConnectionState {
  Disconnected = "Disconnected",
  /** The first start is under way, or is tried again. */
  Connecting = "Connecting",
  Connected = "Connected",
  Disconnecting = "Disconnecting",
  /** The connection was lost and is made again. */
  Reconnecting = "Reconnecting",
}
