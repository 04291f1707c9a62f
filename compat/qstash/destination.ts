import { MAX_URL_LENGTH } from './constants.ts';
import { WireError } from './errors.ts';
import type { HeaderList } from './headers.ts';
import { isHttpUrl } from './options.ts';

export type Destination = { kind: 'url'; url: string } | { kind: 'group'; name: string };

const GROUP_NAME = /^[A-Za-z0-9\-_.]+$/;

/**
 * Everything behind `prefix` in the raw request URL, `//` and query included, and the query parameters that are options
 * (`upstash-*`) as header pairs. `qstash_token` and options are not part of the destination.
 */
export function splitTarget(requestUrl: string, prefix: string): { destination: string; options: HeaderList } {
  const start = requestUrl.toLowerCase().indexOf(prefix);
  const rest = start < 0 ? '' : requestUrl.slice(start + prefix.length);
  const mark = rest.indexOf('?');
  if (mark < 0) return { destination: decodeWhole(rest), options: [] };
  const options: HeaderList = [];
  const kept: string[] = [];
  for (const pair of rest.slice(mark + 1).split('&')) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    if (name === 'qstash_token') continue;
    if (name.startsWith('upstash-')) options.push([name, decode(equals < 0 ? '' : pair.slice(equals + 1))]);
    else kept.push(pair);
  }
  const query = kept.filter((pair) => pair !== '').length > 0 ? `?${kept.join('&')}` : '';
  return { destination: decodeWhole(rest.slice(0, mark)) + query, options };
}

export function parseDestination(text: string): Destination {
  if (text === '') throw new WireError(400, 'invalid destination: it is empty');
  if (text.length > MAX_URL_LENGTH)
    throw new WireError(400, `invalid destination: it is longer than ${MAX_URL_LENGTH} characters`);
  if (/^https?:/i.test(text)) {
    if (!isHttpUrl(text)) throw new WireError(400, `invalid destination url: ${JSON.stringify(text.slice(0, 200))}`);
    return { kind: 'url', url: text };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw new WireError(
      400,
      `invalid destination url: ${JSON.stringify(text.slice(0, 200))} is neither http nor https`,
    );
  }
  if (/^api\//i.test(text)) throw new WireError(501, `destination ${text} is not served`, 'qstash-api-destination');
  if (!GROUP_NAME.test(text)) {
    throw new WireError(
      400,
      `invalid destination: ${JSON.stringify(text.slice(0, 200))} is neither a URL with http:// or https:// nor a URL group`,
    );
  }
  return { kind: 'group', name: text };
}

/** A client that escaped the whole URL means the URL. */
function decodeWhole(text: string): string {
  return /^https?%3a/i.test(text) ? decode(text) : text;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
