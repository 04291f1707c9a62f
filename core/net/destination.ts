/**
 * Why a URL is not called, or null. Refuses destinations inside the own network in production mode. This reads the URL only: a public name that resolves to a private
 * address is stopped by the network itself (the launcher allows `public` addresses only; Cloudflare reaches no private ones).
 */
export function refusal(url: string, mode: 'dev' | 'production', allowPrivate: boolean): string | null {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return `"${url.slice(0, 200)}" is not a URL`;
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    return `only http and https destinations are called, not ${parsed.protocol}`;
  if (mode === 'dev' || allowPrivate) return null;
  return isPrivateHost(parsed.hostname)
    ? `${parsed.hostname} is a private address: refused in production mode (REPOINT_ALLOW_PRIVATE=1 allows such)`
    : null;
}

export function isPrivateHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.+$/, '');
  if (host === 'localhost' || /\.(localhost|local|internal|home\.arpa)$/.test(host)) return true;
  // The URL parser has turned every notation of an IPv4 address (hex, octal, one number) into four decimals.
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  if (v4) return isPrivateV4(v4.slice(1).map(Number));
  return host.startsWith('[') && isPrivateV6(groupsOf(host.slice(1, -1)));
}

/** The eight numbers of an address as the URL parser writes it: hexadecimal only, at most one `::`. */
function groupsOf(v6: string): number[] {
  const [before = '', after] = v6.split('::', 2);
  const numbers = (text: string): number[] => (text === '' ? [] : text.split(':').map((part) => parseInt(part, 16)));
  const [head, tail] = [numbers(before), numbers(after ?? '')];
  return [...head, ...Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail];
}

/** RFC 6890 and RFC 4291, and every form that carries an IPv4 address: what is behind it is what counts. */
function isPrivateV6(groups: number[]): boolean {
  const [a = 0, b = 0, c = 0] = groups;
  const v4 = (at: number): boolean =>
    isPrivateV4(groups.slice(at, at + 2).flatMap((group) => [group >> 8, group & 255]));
  // Compatible, mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96); unspecified and loopback are among the first.
  if (groups.slice(0, 4).every((group) => group === 0)) {
    const [e = 0, f = 0] = groups.slice(4);
    const carriesV4 = (e === 0 && (f === 0 || f === 0xffff)) || (e === 0xffff && f === 0);
    return carriesV4 ? v4(6) : true;
  }
  // 6to4; its address is that of a gateway.
  if (a === 0x2002) return v4(1);
  return (
    // Translation, global and local (RFC 6052, RFC 8215).
    (a === 0x64 && b === 0xff9b) ||
    // Discard only; Teredo, benchmarking, ORCHID; documentation.
    (a === 0x100 && b === 0 && c === 0) ||
    (a === 0x2001 && (b < 0x200 || b === 0xdb8)) ||
    (a & 0xfff0) === 0x3ff0 ||
    // Unique local, link-local and site-local, multicast.
    (a & 0xfe00) === 0xfc00 ||
    (a & 0xff80) === 0xfe80 ||
    a >= 0xff00
  );
}

/** RFC 6890 and the cloud's metadata address, which is link-local. */
function isPrivateV4([a = 0, b = 0, c = 0]: number[]): boolean {
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 192 && b === 0 && (c === 0 || c === 2)) ||
    (a === 198 && (b === 18 || b === 19)) ||
    (a === 198 && b === 51 && c === 100) ||
    (a === 203 && b === 0 && c === 113) ||
    a >= 224
  );
}
