// A process of its own, so that what the check takes of memory goes with it: prints the damage found below argv[2] as JSON, or nothing.
import { findDamage } from './damage.ts';

const damage = findDamage(process.argv[2]!);
if (damage) process.stdout.write(JSON.stringify(damage));
