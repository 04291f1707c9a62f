export { Engine, type Applied } from './engine/engine.ts';
export type { KernelOptions } from './engine/kernel.ts';
export type { MailBatch } from './engine/mail.ts';
