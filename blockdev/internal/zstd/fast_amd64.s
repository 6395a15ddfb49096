//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// In executeFast R15 points to the sequences, DI to where the output goes on, SI to the literals,
// R9 is the position in bits, R10 to R12 are the states. AX, BX and CX hold the rows of literals,
// offset and match, in whose low byte is how many bits more there are, in the next how many bits
// the next state takes, then that state, and in the upper half the base.

// ROW is the row of a state.
#define ROW(part, state) (sequences_tables+part*table__size+table_rows)(R15)(state*8)

// MORE sets to = the bits of a row that come next; low is the low byte of the row. DX holds the
// bits, of which R14 are left.
#define MORE(low, row, to) \
	MOVBLZX low, to; \
	SUBQ to, R14; \
	SHRXQ R14, DX, to; \
	BZHIQ row, to, to

// NEXT sets to = the next state of a row, of which the base remains. free is lost.
#define NEXT(low, row, to, free) \
	SHRQ $8, row; \
	MORE(low, row, to); \
	SHRQ $8, row; \
	MOVWLZX row, free; \
	ADDQ free, to; \
	SHRQ $16, row

// COPY copies at least n bytes, 16 at a time. X0 and AX are lost.
#define COPY(from, to, n, again, done) \
	MOVUPS (from), X0; \
	MOVUPS X0, (to); \
	CMPQ n, $16; \
	JBE done; \
	MOVL $16, AX; \
again: \
	MOVUPS (from)(AX*1), X0; \
	MOVUPS X0, (to)(AX*1); \
	ADDQ $16, AX; \
	CMPQ AX, n; \
	JLT again; \
done:

// func executeFast(s *sequences) (read bool)
TEXT ·executeFast(SB), NOSPLIT, $8-9
	MOVQ s+0(FP), R15
	MOVB $0, read+8(FP)
	MOVQ sequences_out(R15), DI
	ADDQ sequences_n(R15), DI
	MOVQ sequences_literals(R15), SI
	ADDQ sequences_used(R15), SI
	MOVQ sequences_pos(R15), R9
	MOVQ (sequences_states+8*const_ofLiterals)(R15), R10
	MOVQ (sequences_states+8*const_ofOffset)(R15), R11
	MOVQ (sequences_states+8*const_ofMatch)(R15), R12

next:
	CMPQ sequences_left(R15), $1
	JLE  end
	CMPQ R9, sequences_low(R15)
	JLT  end
	MOVQ ROW(const_ofLiterals, R10), AX
	MOVQ ROW(const_ofOffset, R11), BX
	MOVQ ROW(const_ofMatch, R12), CX

	// how many bits it takes
	LEAQ    (AX)(BX*1), DX
	ADDQ    CX, DX
	MOVBLZX DL, R8
	SHRL    $8, DX
	MOVBLZX DL, DX
	ADDL    DX, R8
	CMPL    R8, $const_refillBits
	JHI     end

	MOVQ R9, R14
	SHRQ $3, R14
	ADDQ sequences_src(R15), R14
	MOVQ -7(R14), DX
	MOVL R9, R14
	ANDL $7, R14
	ADDL $const_refillBits, R14
	SUBQ R8, R9

	MORE(BL, BX, R8)
	MORE(CL, CX, R13)
	MORE(AL, AX, BP)
	NEXT(AL, AX, R10, R11)
	NEXT(CL, CX, R12, R11)
	ADDQ AX, BP
	NEXT(BL, BX, R11, AX)
	ADDQ CX, R13
	ADDQ BX, R8
	DECQ sequences_left(R15)

	// the offset, in R8
	MOVQ sequences_recent(R15), AX
	CMPQ R8, $3
	JBE  recent
	SUBQ $3, R8

shift3:
	MOVQ (sequences_recent+8)(R15), BX
	MOVQ BX, (sequences_recent+16)(R15)

shift2:
	MOVQ AX, (sequences_recent+8)(R15)
	MOVQ R8, sequences_recent(R15)

	// whether there is room for BP literals and a match of R13 bytes, and something to repeat
resolved:
	LEAQ const_spare(SI)(BP*1), AX
	MOVQ sequences_literals(R15), BX
	ADDQ (sequences_literals+8)(R15), BX
	CMPQ AX, BX
	JHI  tight
	LEAQ (DI)(BP*1), DX
	LEAQ const_spare(DX)(R13*1), AX
	MOVQ sequences_out(R15), CX
	MOVQ (sequences_out+8)(R15), BX
	ADDQ CX, BX
	CMPQ AX, BX
	JHI  tight
	SUBQ CX, DX
	CMPQ R8, DX
	JHI  tight
	CMPQ R8, $8
	JB   tight

	COPY(SI, DI, BP, literal, literals)
	ADDQ BP, SI
	ADDQ BP, DI
	MOVQ DI, R14
	SUBQ R8, R14
	CMPQ R8, $16
	JB   near
	COPY(R14, DI, R13, repeat, repeated)
	ADDQ R13, DI
	JMP  next

near:
	XORL AX, AX

nearer:
	MOVQ (R14)(AX*1), BX
	MOVQ BX, (DI)(AX*1)
	ADDQ $8, AX
	CMPQ AX, R13
	JLT  nearer
	ADDQ R13, DI
	JMP  next

	// number R8 of the offsets used last, of which the last is in AX
recent:
	CMPQ BP, $1
	ADCQ $0, R8 // without literals
	CMPQ R8, $2
	JB   last
	JEQ  second
	CMPQ R8, $3
	MOVQ (sequences_recent+16)(R15), R8
	JEQ  shift3
	LEAQ -1(AX), R8
	JMP  shift3

second:
	MOVQ (sequences_recent+8)(R15), R8
	JMP  shift2

last:
	MOVQ AX, R8
	JMP  resolved

tight:
	INCQ sequences_left(R15)
	MOVQ BP, (sequences_now+0)(R15)
	MOVQ R13, (sequences_now+8)(R15)
	MOVQ R8, (sequences_now+16)(R15)
	MOVB $1, read+8(FP)

end:
	SUBQ sequences_out(R15), DI
	MOVQ DI, sequences_n(R15)
	SUBQ sequences_literals(R15), SI
	MOVQ SI, sequences_used(R15)
	MOVQ R9, sequences_pos(R15)
	MOVQ R10, (sequences_states+8*const_ofLiterals)(R15)
	MOVQ R11, (sequences_states+8*const_ofOffset)(R15)
	MOVQ R12, (sequences_states+8*const_ofMatch)(R15)
	RET

// LITERAL reads one literal of the stream whose bits AX begins with. CH cannot be stored where an
// address has a register from R8 on.
#define LITERAL(at) \
	MOVQ AX, BX; \
	SHRQ $(64-const_maxLiteralBits), BX; \
	MOVWLZX (R8)(BX*2), CX; \
	SHLXQ CX, AX, AX; \
	MOVB CH, at(DI)

// FIVE reads five literals of stream i to DI. The lowest bit that is set tells how far AX was
// shifted.
#define FIVE(i) \
	MOVQ (i*backward__size+backward_pos)(R10), DX; \
	MOVQ DX, AX; \
	SHRQ $3, AX; \
	MOVQ -7(R9)(AX*1), AX; \
	MOVL DX, CX; \
	ANDL $7, CX; \
	XORL $7, CX; \
	INCL CX; \
	SHLXQ CX, AX, AX; \
	ORQ $1, AX; \
	LITERAL(0); \
	LITERAL(1); \
	LITERAL(2); \
	LITERAL(3); \
	LITERAL(4); \
	BSFQ AX, AX; \
	SUBQ AX, DX; \
	MOVQ DX, (i*backward__size+backward_pos)(R10)

// HAS leaves if stream i has no bits left.
#define HAS(i) \
	MOVQ (i*backward__size+backward_pos)(R10), DX; \
	CMPQ DX, (i*backward__size+backward_low)(R10); \
	JLT over

// func decodeFast(rows *uint16, out *byte, each int, src *byte, streams *[4]backward, end int) (done int)
TEXT ·decodeFast(SB), NOSPLIT, $0-56
	MOVQ rows+0(FP), R8
	MOVQ out+8(FP), R11
	MOVQ each+16(FP), SI
	MOVQ src+24(FP), R9
	MOVQ streams+32(FP), R10
	MOVQ end+40(FP), R12
	XORL R13, R13

more:
	CMPQ R13, R12
	JGT  over
	HAS(0)
	HAS(1)
	HAS(2)
	HAS(3)
	LEAQ (R11)(R13*1), DI
	FIVE(0)
	ADDQ SI, DI
	FIVE(1)
	ADDQ SI, DI
	FIVE(2)
	ADDQ SI, DI
	FIVE(3)
	ADDQ $5, R13
	JMP  more

over:
	MOVQ R13, done+48(FP)
	RET
