/** Where requests to a host really go: an origin by host name, for tests that publish to public names. Read from `REPOINT_REWRITE_HOSTS`. */
export type HostMap = ReadonlyMap<string, string>;

/**
 * `api.example.com=http://127.0.0.1:4000,*.example.org=http://127.0.0.1:5000`. A name may carry a port (`example.com:8080`), a leading `*.` stands for any
 * name below. What cannot be read is an error of the configuration: thrown, not passed over.
 */
export function parseHostMap(text: string | undefined): HostMap {
  const map = new Map<string, string>();
  for (const part of (text ?? '').split(',')) {
    if (part.trim() === '') continue;
    const [host = '', target = ''] = part.split('=', 2).map((side) => side.trim());
    if (!/^(\*\.)?[a-z0-9.:[\]-]+$/i.test(host) || !URL.canParse(target) || !/^https?:$/.test(new URL(target).protocol))
      throw new Error(`REPOINT_REWRITE_HOSTS: "${part.trim()}" is not host=http://other-host:port`);
    map.set(host.toLowerCase(), new URL(target).origin);
  }
  return map;
}

/** The URL that is really called: only scheme, host and port differ. What was recorded, signed and filtered by stays as it was. */
export function rewrite(url: string, hosts: HostMap): string {
  if (hosts.size === 0 || !URL.canParse(url)) return url;
  const { host, hostname } = new URL(url);
  const target = hosts.get(host) ?? hosts.get(hostname) ?? byParent(hostname, hosts);
  if (target === undefined) return url;
  const rest = url.slice(url.indexOf('//') + 2);
  const path = /[/?#]/.exec(rest);
  return target + (path === null ? '/' : path[0] === '/' ? rest.slice(path.index) : `/${rest.slice(path.index)}`);
}

function byParent(hostname: string, hosts: HostMap): string | undefined {
  for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
    const target = hosts.get(`*${hostname.slice(dot)}`);
    if (target !== undefined) return target;
  }
  return undefined;
}
