/** Opaque user data: UTF-8 text (JSON or not) or raw bytes. The engine stores it, never looks inside. */
export type Payload = string | Uint8Array;

/** A JSON value as text. Compat code parses it; the engine hands it on. */
export type JsonText = string;
