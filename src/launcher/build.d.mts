export const packageRoot: string;
export function ensureBuilt(target: string): Record<string, string>;
export function untilFresh<T>(build: () => T | undefined, complain: () => string, pause?: (ms: number) => void): T;
