import { createRequire } from 'node:module';

// Imported, the module is asked for all of its exports, among them the WebSocket, and 14 MiB of the runtime's HTTP client stay loaded (Node 24).
const http = createRequire(import.meta.url)('node:http') as typeof import('node:http');

/** One small request on loopback; answers the status, or undefined when nothing answers. Leaner than loading `fetch`. */
export function requestStatus(
  url: string,
  options: { method?: string; headers?: Record<string, string>; timeoutMs: number },
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = http.request(
      url,
      { method: options.method ?? 'GET', headers: options.headers, agent: false },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode));
        response.once('error', () => resolve(undefined));
      },
    );
    request.setTimeout(options.timeoutMs, () => request.destroy());
    request.once('error', () => resolve(undefined));
    request.once('close', () => resolve(undefined));
    request.end();
  });
}
