import { checkOpCases } from '../../../check-op-cases.ts';
import { elementwiseCases } from './cases/elementwise.ts';

checkOpCases('elementwise', elementwiseCases);
