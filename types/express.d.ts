/** What the conformance suites use of it; the package brings no types. */
declare module 'express' {
  interface Express {
    (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): void;
    use(handler: unknown): void;
    use(path: string, handler: unknown): void;
  }
  const express: (() => Express) & { json(options: { limit: string }): unknown };
  export default express;
}
