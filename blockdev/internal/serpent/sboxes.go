package serpent

// The S-boxes in bit slices: bit i of each of the four words is one of 32 nibbles, a its lowest
// bit. Each is the algebraic normal form of the table in the specification: a sum, modulo 2, of
// products of the inputs, in which ab is a & b. A test holds them against the tables.

// A box is an S-box, of the four words of a block.
type box func(a, b, c, d uint32) words

// through is what an S-box makes of a block.
func (x words) through(b box) words { return b(x.a, x.b, x.c, x.d) }

// sbox are the S-boxes of encryption.
var sbox = [8]box{s0, s1, s2, s3, s4, s5, s6, s7}

// unbox are their inverses.
var unbox = [8]box{u0, u1, u2, u3, u4, u5, u6, u7}

func s0(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd := a&b, a&c, b&c, a&d, b&d
	abc, acd, bcd := bc&a, ad&c, bd&c
	return words{
		^(a ^ c ^ d ^ ab ^ ac ^ bc ^ abc ^ acd ^ bcd),
		^(a ^ ac ^ bc ^ bd ^ abc ^ acd ^ bcd),
		b ^ d ^ ab ^ ac ^ bd ^ abc ^ bcd,
		a ^ b ^ c ^ d ^ ad,
	}
}

func s1(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abd, acd, bcd := bd&a, cd&a, cd&b
	return words{
		^(a ^ b ^ bc ^ ad ^ cd ^ acd ^ bcd),
		^(a ^ c ^ d ^ ab ^ ac ^ bd ^ abd ^ acd ^ bcd),
		^(b ^ c ^ d ^ ab),
		^(b ^ d ^ ac ^ ad ^ abd ^ acd ^ bcd),
	}
}

func s2(a, b, c, d uint32) words {
	ac, bc, ad, bd, cd := a&c, b&c, a&d, b&d, c&d
	abc, abd, acd := bc&a, bd&a, cd&a
	return words{
		b ^ c ^ d ^ ac,
		a ^ b ^ c ^ bc ^ ad ^ cd ^ abc ^ abd ^ acd,
		a ^ b ^ d ^ bc ^ bd ^ cd ^ abd ^ acd,
		^(a ^ b ^ c ^ bd ^ abc),
	}
}

func s3(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, acd, bcd := bc&a, bd&a, cd&a, cd&b
	return words{
		a ^ b ^ d ^ bc ^ ad ^ cd ^ acd ^ bcd,
		a ^ b ^ ac ^ ad ^ cd ^ abd ^ acd,
		a ^ c ^ d ^ ab ^ bd ^ abc ^ abd,
		a ^ b ^ c ^ d ^ ab ^ ac ^ cd ^ abc ^ acd,
	}
}

func s4(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, acd, bcd := bc&a, bd&a, cd&a, cd&b
	return words{
		^(b ^ c ^ d ^ ab ^ ad ^ bd),
		a ^ d ^ ac ^ bc ^ bd ^ cd ^ acd ^ bcd,
		a ^ c ^ ab ^ bc ^ bd ^ cd ^ abc ^ abd ^ bcd,
		a ^ b ^ c ^ bc ^ ad ^ bd ^ abd,
	}
}

func s5(a, b, c, d uint32) words {
	ab, ac, ad, bd, cd := a&b, a&c, a&d, b&d, c&d
	abc, abd, acd, bcd := ac&b, bd&a, cd&a, cd&b
	return words{
		^(b ^ c ^ d ^ ab ^ ad ^ bd),
		^(a ^ c ^ d ^ ab ^ bd ^ cd ^ abd),
		^(b ^ d ^ ac ^ cd ^ abd ^ acd ^ bcd),
		^(a ^ b ^ c ^ d ^ ad ^ abc ^ acd),
	}
}

func s6(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, bcd := bc&a, bd&a, cd&b
	return words{
		^(a ^ b ^ c ^ d ^ ac ^ bc ^ abc ^ abd ^ bcd),
		^(b ^ c ^ ad),
		^(a ^ c ^ ab ^ bc ^ bd ^ cd ^ abc ^ abd ^ bcd),
		b ^ c ^ d ^ ab ^ ac ^ cd ^ abc ^ bcd,
	}
}

func s7(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, acd, bcd := bc&a, bd&a, cd&a, cd&b
	return words{
		^(c ^ ab ^ ad ^ bd ^ cd ^ acd ^ bcd),
		b ^ c ^ d ^ ab ^ ac ^ bc ^ ad ^ abd ^ acd,
		a ^ b ^ c ^ d ^ ad ^ bd ^ abc ^ abd ^ bcd,
		a ^ b ^ c ^ ac ^ ad ^ abc,
	}
}

func u0(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abd, acd, bcd := bd&a, cd&a, cd&b
	return words{
		^(c ^ ab ^ bc ^ ad ^ bd ^ cd ^ abd ^ acd ^ bcd),
		a ^ b ^ c ^ ac ^ bd ^ acd ^ bcd,
		^(a ^ b ^ c ^ d ^ ab),
		^(a ^ d ^ bc ^ cd ^ abd ^ acd ^ bcd),
	}
}

func u1(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd := a&b, a&c, b&c, a&d, b&d
	abc, acd, bcd := bc&a, ad&c, bd&c
	return words{
		^(a ^ b ^ ab ^ bd ^ abc ^ acd ^ bcd),
		b ^ c ^ d ^ ad ^ bd ^ abc ^ acd ^ bcd,
		^(a ^ b ^ d ^ ac ^ bc ^ abc ^ acd),
		a ^ c ^ d ^ bd,
	}
}

func u2(a, b, c, d uint32) words {
	ab, bc, ad, bd, cd := a&b, b&c, a&d, b&d, c&d
	abc, abd, acd := bc&a, bd&a, cd&a
	return words{
		a ^ b ^ c ^ bc ^ bd,
		b ^ c ^ ab ^ ad ^ cd ^ abd ^ acd,
		^(a ^ c ^ d ^ ab ^ ad ^ bd ^ abd ^ acd),
		^(d ^ ab ^ bc ^ abc ^ acd),
	}
}

func u3(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, acd, bcd := bc&a, bd&a, cd&a, cd&b
	return words{
		a ^ c ^ d ^ bc ^ ad ^ bd ^ bcd,
		b ^ c ^ d ^ bc ^ ad ^ abc ^ acd ^ bcd,
		ab ^ ac ^ bc ^ ad ^ bd ^ cd ^ abd ^ acd,
		a ^ b ^ c ^ ac ^ ad ^ cd ^ abc ^ abd,
	}
}

func u4(a, b, c, d uint32) words {
	ab, ac, ad, bd, cd := a&b, a&c, a&d, b&d, c&d
	abc, abd, acd := ac&b, bd&a, cd&a
	return words{
		^(a ^ b ^ c ^ d ^ ad ^ cd ^ abd ^ acd),
		c ^ d ^ ab ^ ac ^ ad ^ acd,
		^(a ^ b ^ c ^ d ^ ab ^ ac ^ bd ^ abc ^ abd),
		b ^ c ^ ab ^ ad ^ cd ^ abd,
	}
}

func u5(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd := a&b, a&c, b&c, a&d, b&d
	abc, abd, acd := bc&a, bd&a, ad&c
	return words{
		a ^ d ^ bc ^ abd,
		a ^ b ^ d ^ ac ^ bc ^ ad ^ abc ^ abd,
		a ^ c ^ ab ^ bd ^ abd ^ acd,
		^(b ^ c ^ ab ^ ad ^ abc),
	}
}

func u6(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, bcd := bc&a, bd&a, cd&b
	return words{
		^(a ^ d ^ ab ^ ac ^ bc ^ abc ^ abd ^ bcd),
		^(b ^ c ^ d ^ ac),
		^(a ^ b ^ bc ^ bd ^ cd ^ abd ^ bcd),
		^(b ^ c ^ d ^ ab ^ bc ^ ad ^ cd ^ abc ^ abd ^ bcd),
	}
}

func u7(a, b, c, d uint32) words {
	ab, ac, bc, ad, bd, cd := a&b, a&c, b&c, a&d, b&d, c&d
	abc, abd, acd, bcd := bc&a, bd&a, cd&a, cd&b
	return words{
		^(a ^ b ^ bc ^ bd ^ cd ^ abd ^ bcd),
		^(a ^ c ^ d ^ bc ^ ad ^ bd ^ acd ^ bcd),
		b ^ d ^ ac ^ cd ^ abd ^ acd,
		c ^ ab ^ ad ^ bd ^ abc ^ abd,
	}
}
