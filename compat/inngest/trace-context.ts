const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 32 hex digits, as a tracing system writes them: the run's id is as long as a trace's, and is taken for it. */
export function traceId(run: string): string {
  let value = 0n;
  for (const char of run) value = (value << 5n) | BigInt(Math.max(0, ALPHABET.indexOf(char)));
  return BigInt.asUintN(128, value).toString(16).padStart(32, '0');
}

/** 16 hex digits: the same span always has the same. */
export function spanId(run: string, n: number, text = ''): string {
  const name = `${run} ${n} ${text}`;
  let [a, b] = [0x811c9dc5, 0x1b873593];
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x01000193);
  }
  return hex(a) + hex(b);
}

function hex(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0');
}

/** Longest key of a call that fits into a reference: a member of `tracestate` has at most 256 characters. */
const MAX_REFERENCE_KEY = 128;

/** A call, as an app's spans name the one that they belong to: opaque to the SDK, which sends it back with each span. */
export interface CallReference {
  seq: number;
  attempt: number;
  key: string;
}

function writeReference({ seq, attempt, key }: CallReference): string {
  return key.length > MAX_REFERENCE_KEY ? '' : `,inngest@traceref=${seq}.${attempt}.${encodeURIComponent(key)}`;
}

export function readReference(text: string): CallReference | null {
  const match = /^(\d{1,9})\.(\d{1,9})\.([\w%.~-]*)$/.exec(text);
  if (!match) return null;
  try {
    return { seq: Number(match[1]), attempt: Number(match[2]), key: decodeURIComponent(match[3] as string) };
  } catch {
    return null;
  }
}

/** Headers by which an app's own tracing knows whose its spans are (W3C Trace Context; npm inngest: TraceStateKey). */
export function traceHeaders(
  run: string,
  call: CallReference,
  fn: { id: string; appId: string },
): Array<[string, string]> {
  return [
    ['traceparent', `00-${traceId(run)}-${spanId(run, call.seq, `${call.key} ${call.attempt}`)}-01`],
    ['tracestate', `inngest@app=${fn.appId},inngest@fn=${fn.id}${writeReference(call)}`],
  ];
}
