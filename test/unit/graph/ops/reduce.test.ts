import { checkOpCases } from '../../../check-op-cases.ts';
import { reduceCases } from './cases/reduce.ts';

checkOpCases('reduce', reduceCases);
