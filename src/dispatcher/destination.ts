/**
 * Refuses destinations inside the own network in production mode. This reads the URL only: a public name that resolves to a private
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
  const host = hostname.toLowerCase().replace(/\.$/, '');
  if (host === 'localhost' || /\.(localhost|local|internal|home\.arpa)$/.test(host)) return true;
  // The URL parser has turned every notation of an IPv4 address (hex, octal, one number) into four decimals.
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  if (v4) return isPrivateV4(v4.slice(1).map(Number));
  if (!host.startsWith('[')) return false;
  const v6 = host.slice(1, -1);
  const mapped = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(v6);
  if (mapped) {
    const [high, low] = [parseInt(mapped[1] as string, 16), parseInt(mapped[2] as string, 16)];
    return isPrivateV4([high >> 8, high & 255, low >> 8, low & 255]);
  }
  // Unspecified, loopback, unique local, link-local, site-local, multicast, IPv4 translation.
  return (
    v6 === '::' ||
    v6 === '::1' ||
    /^f[cd]/.test(v6) ||
    /^fe[89a-f]/.test(v6) ||
    v6.startsWith('ff') ||
    v6.startsWith('64:ff9b:')
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
