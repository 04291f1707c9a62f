import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export interface VendorSchema {
  safeParse(value: unknown): { success: boolean; error?: { message: string } };
}

// The schemas with which the vendor's own CLI and SDK check every answer.
const requireFromSdk = createRequire(createRequire(import.meta.url).resolve('@trigger.dev/sdk'));
const load = async (path: string): Promise<Record<string, VendorSchema>> =>
  (await import(pathToFileURL(requireFromSdk.resolve(path)).href)) as Record<string, VendorSchema>;
export const api = await load('@trigger.dev/core/v3');
export const workers = await load('@trigger.dev/core/v3/workers');
