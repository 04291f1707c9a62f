/** Opaque user data: UTF-8 text (JSON or not) or raw bytes. The engine stores it, never looks inside. */
export type Payload = string | Uint8Array;

/** A JSON value as text. Compat code parses it; the engine hands it on. */
export type JsonText = string;

export function sizeBytes(payload: Payload | null): number {
  if (payload === null) return 0;
  if (typeof payload !== 'string') return payload.byteLength;
  // UTF-16 length is exact for ASCII and a safe lower bound; ×3 is the upper bound used for limits.
  return payload.length;
}
