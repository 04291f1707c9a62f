/** User data as it travels: text and how to read it. The server stores it unread. */
export interface Packet {
  data?: string;
  dataType: string;
}

export const JSON_TYPE = 'application/json';
const SUPER_JSON_TYPE = 'application/super+json';
export const STORE_TYPE = 'application/store';

/**
 * The plain JSON value that `runs.retrieve` must carry: the SDK hands it to the user untouched, an envelope would leak.
 * Undefined when there is none or it lies in a store.
 */
export function plainValue(packet: Packet): unknown {
  if (packet.data === undefined) return undefined;
  switch (packet.dataType) {
    case JSON_TYPE:
      return parseJson(packet.data) ?? (packet.data === 'null' ? null : undefined);
    case SUPER_JSON_TYPE: {
      const envelope = parseJson(packet.data);
      if (typeof envelope !== 'object' || envelope === null || !('json' in envelope)) return undefined;
      return envelope.json;
    }
    case STORE_TYPE:
      return undefined;
    default:
      return packet.data;
  }
}

/** An object for metadata: `{}` when the text holds anything else. */
export function plainObject(packet: Packet): Record<string, unknown> {
  const value = plainValue(packet);
  return isRecord(value) ? value : {};
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A request's `payload`: text as it is; any other value as JSON (older clients and plain HTTP callers). */
export function packetOf(payload: unknown, payloadType: string | undefined): Packet {
  if (payload === undefined) return { dataType: payloadType ?? JSON_TYPE };
  if (typeof payload === 'string') return { data: payload, dataType: payloadType ?? JSON_TYPE };
  return { data: JSON.stringify(payload), dataType: JSON_TYPE };
}
