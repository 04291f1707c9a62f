/** Header pairs as they travel; names in lower case. */
export type HeaderList = Array<[string, string]>;
/** The vendor's answers show headers as Go maps do: canonical names, lists of values. */
export type HeaderMap = Record<string, string[]>;

/** Framing and hop-by-hop headers: the delivery has its own. SDKs forward whatever the incoming request had. */
const NOT_FORWARDED = new Set([
  'host',
  'content-length',
  'content-type',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'accept-encoding',
]);
/** Headers that the delivery sets itself win over forwarded ones. */
const OWN = new Set([
  'upstash-signature',
  'upstash-message-id',
  'upstash-retried',
  'upstash-schedule-id',
  'upstash-topic-name',
  'upstash-caller-ip',
  'upstash-region',
  'user-agent',
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Control characters would break the request apart. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function mayForward(name: string): boolean {
  return !NOT_FORWARDED.has(name) && !OWN.has(name) && !name.startsWith('upstash-telemetry-');
}

export function isHeaderName(text: string): boolean {
  return NAME.test(text);
}

export function isHeaderValue(text: string): boolean {
  return VALUE.test(text);
}

/** `upstash-message-id` → `Upstash-Message-Id`, as Go's `textproto.CanonicalMIMEHeaderKey`. */
export function canonicalName(name: string): string {
  let upper = true;
  let result = '';
  for (const char of name) {
    result += upper ? char.toUpperCase() : char.toLowerCase();
    upper = char === '-';
  }
  return result;
}

export function headerMap(headers: Iterable<readonly [string, string]>): HeaderMap {
  const map: HeaderMap = {};
  for (const [name, value] of headers) (map[canonicalName(name)] ??= []).push(value);
  return map;
}

export function headerValue(headers: Iterable<readonly [string, string]>, name: string): string | null {
  for (const [key, value] of headers) if (key.toLowerCase() === name) return value;
  return null;
}

/** Later lists win by name. */
export function mergeHeaders(...lists: HeaderList[]): HeaderList {
  const merged = new Map<string, HeaderList>();
  for (const list of lists) {
    const own = new Map<string, HeaderList>();
    for (const [name, value] of list) {
      const entries = own.get(name);
      if (entries) entries.push([name, value]);
      else own.set(name, [[name, value]]);
    }
    for (const [name, entries] of own) merged.set(name, entries);
  }
  return [...merged.values()].flat();
}
